"""Checkpoints that go into an object store and come back, and a run that lives there: the same, to the bit, as one on a disk."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from jobs.checkpoint import show
from pipeline.errors import DataError, StorageError
from pipeline.inference.trained import find_trained
from pipeline.methods.model_file import WEIGHTS, load_model
from pipeline.storage import (
    exists,
    files_below,
    names_in,
    open_binary,
    read_text,
    remove,
    write_bytes,
    write_text,
)
from pipeline.training import transfer
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.init import weights_sha256
from pipeline.training.integrity import CHECKPOINT_MANIFEST, damage, digests, seal
from pipeline.training.records import Trace
from pipeline.training.run import owned_run, ready
from pipeline.training.transfer import download_folder, upload_checkpoint

URL = "s3://faces/runs/a/step-000000002"


@pytest.fixture
def written(tmp_path) -> Path:
    """A sealed folder as ``checkpoint.save`` leaves it."""
    folder = tmp_path / "written"
    for name in ("zero/of_a_rank.pt", "average.safetensors", "state.json"):
        write_bytes(str(folder / name), name.encode() * 1000)
    seal(folder, digests(folder), step=2, config_hash="0" * 12, world_size=1, zero_stage=0)
    return folder


def test_a_checkpoint_comes_back_as_it_went_and_its_list_goes_last(s3, written, tmp_path):
    write_text(f"{URL}/left/by_a_killed_upload.pt", "")
    s3.asked.clear()
    upload_checkpoint(written, URL, rank=0, world_size=1)
    sent = [asked for asked in s3.asked if asked.startswith("PUT")]
    assert len(sent) == 4
    assert sent[-1].endswith(CHECKPOINT_MANIFEST)
    assert damage(URL) == ()
    download_folder(URL, tmp_path / "fetched")
    assert files_below(str(tmp_path / "fetched")) == files_below(str(written)) == files_below(URL)
    assert damage(str(tmp_path / "fetched")) == ()


def test_the_list_waits_for_the_slowest_rank(s3, written, tmp_path, monkeypatch):
    barrier = threading.Barrier(2)
    monkeypatch.setattr(transfer, "merged", lambda own, world_size: barrier.wait(timeout=60))
    put, late = transfer.put_object, []

    def slow_where_rank_1_is(path: str, url: str) -> None:
        if url.endswith("of_rank_1.pt"):
            time.sleep(0.5)
            late.append(exists(f"{URL}/{CHECKPOINT_MANIFEST}"))
        put(path, url)

    monkeypatch.setattr(transfer, "put_object", slow_where_rank_1_is)
    write_text(f"{URL}/zero/of_rank_7.pt", "of a killed upload by more ranks")
    other = tmp_path / "rank 1"
    write_text(str(other / "zero" / "of_rank_1.pt"), "1")
    files = digests(written) | digests(other)
    (written / CHECKPOINT_MANIFEST).unlink()
    del files[CHECKPOINT_MANIFEST]
    seal(written, files, step=2, config_hash="0" * 12, world_size=2, zero_stage=1)
    rank_1 = threading.Thread(target=upload_checkpoint, args=(other, URL, 1, 2))
    rank_1.start()
    upload_checkpoint(written, URL, rank=0, world_size=2)
    rank_1.join()
    assert (late, damage(URL)) == ([False], ())


def test_an_upload_that_fails_or_is_cut_short_leaves_no_checkpoint(s3, written, monkeypatch):
    s3.failures = 4
    upload_checkpoint(written, URL, rank=0, world_size=1)
    assert (s3.failures, damage(URL)) == (0, ())
    put, sent = transfer.put_object, []

    def away_when_half_is_there(path: str, url: str) -> None:
        sent.append(url)
        s3.failures = 10**6 if len(sent) > 1 else 0
        put(path, url)

    monkeypatch.setattr(transfer, "put_object", away_when_half_is_there)
    with pytest.raises(StorageError, match="the store failed"):
        upload_checkpoint(written, URL, rank=0, world_size=1)
    s3.failures = 0
    assert names_in(URL) == ["average.safetensors"]
    assert damage(URL) == (f"{CHECKPOINT_MANIFEST} is missing",)


def test_a_trace_in_a_store_is_sent_whole_and_gone_on_with(s3):
    for steps in (range(2), range(1, 3)):
        trace = Trace("s3://faces/runs/a", rank=1)
        for step in steps:
            trace.write(step, [f"key{step}"], {})
        trace.keep()
        trace.write(9, [], {})  # lost with a process that is killed
        trace.close() if steps.start else trace._file.close()
    lines = (read_text("s3://faces/runs/a/trace/rank1.jsonl") or "").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 1, 2, 9]


def read(url: str) -> bytes:
    with open_binary(url) as file:
        return file.read()


def trace_of(run: str) -> list[str]:
    """The last line of each step."""
    lines = (read_text(f"{run}/trace/rank0.jsonl") or "").splitlines()
    return list({json.loads(line)["step"]: line for line in lines}.values())


def test_a_run_in_a_store_is_killed_and_resumed(
    s3, toy_experiment, tmp_path, train_plainly, monkeypatch, capsys
):
    monkeypatch.setattr("pipeline.ownership._SETTLE_S", 0.01)
    toy_experiment["model"]["dropout"], toy_experiment["unlabelled"]["objective"] = 0.2, None
    toy_experiment["training"] |= {"steps": 6, "batch": 4, "validate_every": 0.2, "checkpoint_every": 2 / 15}
    local, there = f"{tmp_path}/runs/toy", "s3://faces/runs/toy"
    remote = toy_experiment | {"cluster": {"storage": "s3://faces/runs/"}}
    config = ExperimentConfig.model_validate(remote)
    with owned_run(config):
        run = ready(config)
    assert run.folder == there
    remote["config_hash"] = toy_experiment["config_hash"] = run.config_hash
    assert train_plainly(toy_experiment, remote) == [{"said": [], "error": None}] * 2
    assert trace_of(there) == trace_of(local)
    assert run.state()["step"] == 6

    # As a process leaves it that is killed while its last checkpoint is under way, and a disk that turned a bit before.
    for name in ("finished.json", "models/last", f"step-000000006/{CHECKPOINT_MANIFEST}"):
        remove(f"{there}/{name}")
    state = f"{there}/step-000000004/state.json"
    write_bytes(state, read(state).replace(b"4", b"5", 1))
    assert not show(there)
    assert capsys.readouterr().out.count("damaged") == 2
    with pytest.raises(DataError, match="the run is not finished"):
        find_trained(there)
    (resumed,) = train_plainly(remote)
    assert resumed["error"] is None
    assert [said.split(":")[0] for said in resumed["said"]] == [
        "checkpoint step-000000006 is damaged",
        "checkpoint step-000000004 is damaged",
        "goes on from step-000000002, the newest that is whole",
    ]
    assert show(there)
    assert trace_of(there) == trace_of(local)
    for which in ("best", "last"):
        assert read(f"{there}/models/{which}/{WEIGHTS}") == read(f"{local}/models/{which}/{WEIGHTS}")
    assert weights_sha256(there) == weights_sha256(f"{local}/models/best")

    found = find_trained(there)
    assert (found.folder, found.config) == (f"{there}/models/best", run.config)
    assert load_model(found.folder).description == found.description
