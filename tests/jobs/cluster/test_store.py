"""Ray Train's own notes in an object store: written whole, read by others, and only the newest checkpoints kept."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from pyarrow.fs import FileSelector, FileType

from jobs.cluster.store import place_of
from pipeline.errors import StorageError
from pipeline.storage import names_in, read_text, write_text

RUN = "s3://faces/runs/a"


def test_a_path_is_left_to_ray():
    assert place_of("/shared/runs") == {"storage_path": "/shared/runs"}


def test_what_ray_asks_is_answered_as_by_a_disk_also_by_a_store_that_fails_for_a_while(s3):
    place = place_of("s3://faces/runs")
    store = pickle.loads(pickle.dumps(place["storage_filesystem"]))  # as workers are handed it
    assert (place["storage_path"], store) == ("faces/runs", place["storage_filesystem"])
    folder = f"{place['storage_path']}/a"

    def busy() -> None:
        s3.failures = 3

    busy()
    store.create_dir(folder)
    assert store.get_file_info(folder).type == FileType.NotFound
    busy()
    with store.open_output_stream(f"{folder}/note.json") as stream:
        stream.write(b"half a ")
        assert read_text(f"{RUN}/note.json") is None
        stream.write(b"note")
    assert read_text(f"{RUN}/note.json") == "half a note"
    write_text(f"{RUN}/note.json", "by another")
    busy()
    with store.open_input_stream(f"{folder}/note.json") as stream:
        assert stream.read() == b"by another"
    write_text(f"{RUN}/step/part.pt", "1")
    busy()
    listed = {info.base_name: info.type for info in store.get_file_info(FileSelector(folder))}
    assert listed == {"note.json": FileType.File, "step": FileType.Directory}
    busy()
    store.delete_dir(f"{folder}/step")
    store.delete_file(f"{folder}/note.json")
    assert (s3.failures, names_in(RUN)) == (0, [])
    with pytest.raises(FileNotFoundError):
        store.open_input_stream(f"{folder}/note.json")
    s3.failures = 10**6
    with pytest.raises(StorageError, match="s3://faces/runs/a: the store failed"):
        store.get_file_info(folder)


def test_the_newest_checkpoints_are_kept_and_known_to_the_next_command(s3):
    from ray.train import Checkpoint, CheckpointConfig
    from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
    from ray.train.v2._internal.execution.storage import StorageContext
    from ray.train.v2._internal.execution.training_report import _TrainingReport

    def manager() -> CheckpointManager:
        storage = StorageContext(experiment_dir_name="a", **place_of("s3://faces/runs"))
        return CheckpointManager(CheckpointConfig(num_to_keep=2), storage)

    async def train() -> None:
        mine = manager()
        for step in range(4):
            write_text(f"{RUN}/step-{step}/generator/state.pt", "")
            there = Checkpoint(f"faces/runs/a/step-{step}", mine._storage_context.storage_filesystem)
            mine.register_checkpoint(_TrainingReport(checkpoint=there, metrics={}, validation=False))
        await asyncio.sleep(0)

    asyncio.run(train())
    assert [name for name in names_in(RUN) if name.startswith("step")] == ["step-2", "step-3"]
    assert manager().latest_checkpoint_result.checkpoint.path == "faces/runs/a/step-3"
