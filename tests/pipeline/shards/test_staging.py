"""Finished chunks: kept whole, found again, turned into shards of one size."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from pipeline.datasets.face import Unusable
from pipeline.errors import ConfigError, DataError, ManifestError, ShardError, StorageError
from pipeline.shards.assemble import assemble
from pipeline.shards.manifest import CropPolicy, load_manifest
from pipeline.shards.plan import RECORDS_PER_CHUNK, SetPlan
from pipeline.shards.prepare import ChunkOptions, ChunkResult, Reject
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.rejects import check_entries, check_rejects, remarks
from pipeline.shards.staging import Staging, Standing, existing, stand

DIGEST = "0123456789abcdef" * 4
OTHER = "f" * 64


@dataclass(frozen=True)
class Record:
    name: str
    source: str = "s"


def plan(folder, records=2 * RECORDS_PER_CHUNK + 5, per_shard=100):
    crop = CropPolicy(points="detector", side_factor=3.0, size=32, jpeg_quality=95)
    return SetPlan(
        name="u",
        folder=f"{folder}/u",
        split="train",
        records=tuple(Record(str(i)) for i in range(records)),
        options=ChunkOptions("unlabelled", None, crop, 1.0, "landmarks", "keep_largest"),
        samples_per_shard=per_shard,
        references=(),
        source={"reader": "none"},
        settings={},
    )


def result(chunk, bad=()):
    samples = [RawSample(f"key-{r.name}", b"jpg", b"{}") for r in chunk if r.name not in bad]
    rejects = [Reject(r.name, "no_face", "why") for r in chunk if r.name in bad]
    return ChunkResult(samples, rejects, Counter(samples=len(samples)))


def fill(staging, chosen, bad=()):
    for index in range(chosen.chunk_count):
        staging.write(index, result(chosen.chunk(index), bad))


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_chunks_become_shards_in_order(tmp_path, scheme):
    out = f"{scheme}{tmp_path}"
    chosen, staging = plan(out), Staging(out, "u", DIGEST)
    fill(staging, chosen, bad={"0", "200"})
    manifest = assemble(chosen, DIGEST, staging, 0.5)
    assert [s.samples for s in manifest.shards] == [100, 100, 59]
    assert manifest.rejected == {"no_face": 2}
    keys = [s.key for shard in manifest.shards for s in iterate_shard(f"{out}/u/{shard.path}")]
    assert keys == [f"key-{i}" for i in range(261) if i not in (0, 200)]
    assert load_manifest(f"{out}/u") == manifest
    assert staging.finished() == set()
    assert existing(chosen, DIGEST, overwrite=False) == manifest


def test_a_chunk_counts_only_when_it_is_whole(tmp_path):
    chosen, staging = plan(tmp_path), Staging(str(tmp_path), "u", DIGEST)
    staging.write(1, result(chosen.chunk(1)))
    staging.write(2, result(chosen.chunk(2), bad={r.name for r in chosen.chunk(2)}))  # all left out: no tar
    assert staging.finished() == {1, 2}
    # Killed between tar and JSON: done again.
    (tmp_path / ".staging" / "u" / DIGEST[:16] / "chunk-000001.json").unlink()
    assert staging.finished() == {2}
    with pytest.raises(StorageError, match=r"chunk-000001\.json: .*storage that all nodes share"):
        staging.state(1)


def test_another_config_shares_nothing(tmp_path):
    chosen = plan(tmp_path)
    old, new = Staging(str(tmp_path), "u", OTHER), Staging(str(tmp_path), "u", DIGEST)
    fill(old, chosen)
    assert new.finished() == set()
    new.discard_others()
    assert old.finished() == set()


def test_altered_chunk(tmp_path):
    chosen, staging = plan(tmp_path), Staging(str(tmp_path), "u", DIGEST)
    fill(staging, chosen)
    state = tmp_path / ".staging" / "u" / DIGEST[:16] / "chunk-000000.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"samples": 3}))
    with pytest.raises(ShardError, match=r"chunk-000000\.tar: 128 samples, 3 expected"):
        assemble(chosen, DIGEST, staging, 0.5)


def test_what_is_there_already(tmp_path):
    chosen, staging = plan(tmp_path), Staging(str(tmp_path), "u", DIGEST)
    assert existing(chosen, DIGEST, overwrite=False) is None
    fill(staging, chosen)
    assemble(chosen, DIGEST, staging, 0.5)
    with pytest.raises(ConfigError, match="prepared from another config or other images; give --overwrite"):
        existing(chosen, OTHER, overwrite=False)
    assert existing(chosen, OTHER, overwrite=True) is None
    shard = next((tmp_path / "u").glob("*-000001.tar"))
    shard.write_bytes(b"short")
    assert existing(chosen, DIGEST, overwrite=False) is None
    (tmp_path / "u" / "manifest.json").write_text("{")
    with pytest.raises(ManifestError, match="not JSON"):
        existing(chosen, DIGEST, overwrite=False)
    assert existing(chosen, DIGEST, overwrite=True) is None


def test_stale_shards_and_temporary_files_go_last(tmp_path):
    folder = tmp_path / "u"
    folder.mkdir()
    for name in ("u-ffffffff-000000.tar", ".u-x.tar.1.tmp", "notes.txt", "v-ffffffff-000000.tar"):
        (folder / name).touch()
    chosen, staging = plan(tmp_path, records=10), Staging(str(tmp_path), "u", DIGEST)
    fill(staging, chosen)
    assemble(chosen, DIGEST, staging, 0.5)
    assert sorted(p.name for p in folder.iterdir()) == [
        "manifest.json",
        "notes.txt",  # not ours
        "rejected.jsonl",
        "u-01234567-000000.tar",
        "v-ffffffff-000000.tar",
    ]


def test_limit_of_rejects_names_the_first_and_lists_all(tmp_path):
    chosen, staging = plan(tmp_path, records=10), Staging(str(tmp_path), "u", DIGEST)
    fill(staging, chosen, bad={str(i) for i in range(6)})
    check_rejects(chosen, Counter(no_face=5), 0.5, staging)
    with pytest.raises(
        DataError, match=r"6 of 10 images left out \(6 no_face\), more than the 50%"
    ) as caught:
        check_rejects(chosen, Counter(no_face=6), 0.5, staging)
    listed = tmp_path / ".staging" / "u" / "rejected.jsonl"
    assert f"All are listed in {listed}. The first:\n  0: no_face: why\n" in str(caught.value)
    assert str(caught.value).endswith("\n  … and 1 more")
    assert [json.loads(line)["name"] for line in listed.read_text().splitlines()] == list("012345")
    everything = Staging(str(tmp_path), "u", OTHER)
    fill(everything, chosen, bad={str(i) for i in range(10)})
    with pytest.raises(
        DataError, match=r"10 of 10 images left out \(10 no_face\), all that there are; look at"
    ):
        assemble(chosen, OTHER, everything, 1.0)


def test_a_filter_that_empties_a_set_names_its_key(tmp_path):
    chosen = replace(plan(tmp_path, records=2), references=("train",))
    staging = Staging(str(tmp_path), "u", DIGEST)
    staging.write(0, ChunkResult([], [Reject(str(i), "near_duplicate", "of x") for i in range(2)], Counter()))
    with pytest.raises(
        DataError, match="they repeat train: use other images, set 'validation.drop_near_duplicates'"
    ):
        assemble(chosen, DIGEST, staging, 1.0)


def test_bad_entries_of_the_data_set_stop_before_any_image_is_read(tmp_path):
    entries = [Unusable("s", f"{i}.jpg", "bad_annotation", f"{i}.pts: 67 points") for i in range(3)]
    chosen = replace(plan(tmp_path), records=(*entries, *(Record(str(i)) for i in range(3))))
    staging = Staging(str(tmp_path), "u", DIGEST)
    check_entries(chosen, staging, 0.5)
    with pytest.raises(DataError, match=r"3 of 6 images left out \(3 bad_annotation\)") as caught:
        check_entries(chosen, staging, 0.49)
    assert all(f"{i}.jpg: bad_annotation: {i}.pts: 67 points" in str(caught.value) for i in range(3))


def test_what_whoever_prepared_a_set_should_know(tmp_path):
    chosen, staging = plan(tmp_path, records=10), Staging(str(tmp_path), "u", DIGEST)
    fill(staging, chosen, bad={"3"})
    (remark,) = remarks(chosen, assemble(chosen, DIGEST, staging, 0.5))
    assert remark.endswith("u/rejected.jsonl. The first:\n  3: no_face: why")
    whole = Staging(str(tmp_path), "u", OTHER)
    fill(whole, chosen)
    manifest = assemble(chosen, OTHER, whole, 0.5)
    assert remarks(chosen, manifest) == []
    hidden = manifest.model_copy(update={"statistics": {"landmarks_hidden_share": 1.0}})
    assert "no landmark of the set is visible" in remarks(chosen, hidden)[0]


class Counted(tuple):
    """Records that count how many of them are handed out."""

    handed = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        Counted.handed += len(found) if isinstance(place, slice) else 1
        return found


def test_resuming_costs_no_more_than_the_records_there_are(tmp_path, monkeypatch):
    chosen = plan(tmp_path, records=40 * RECORDS_PER_CHUNK - 3)
    staging, missing = Staging(str(tmp_path), "u", DIGEST), {3, 39}
    for index in sorted(set(range(chosen.chunk_count)) - missing):
        name = str(index * RECORDS_PER_CHUNK)
        staging.write(index, result(chosen.chunk(index)[:2], bad={name}))
    chosen = replace(chosen, records=Counted(chosen.records))
    read, states = [], Staging.state
    monkeypatch.setattr(Staging, "state", lambda self, index: read.append(index) or states(self, index))
    monkeypatch.setattr(Counted, "handed", 0)
    standing = stand(chosen, staging)
    assert standing.todo == [3, 39]
    assert standing.images == 38 * RECORDS_PER_CHUNK
    assert standing.rejected == {"no_face": 38}
    assert Counted.handed <= len(chosen.records)
    assert sorted(read) == sorted(set(range(40)) - missing)


def test_nothing_was_done_yet(tmp_path):
    chosen = plan(tmp_path)
    assert stand(chosen, Staging(str(tmp_path), "u", DIGEST)) == Standing([0, 1, 2], 0, Counter())
