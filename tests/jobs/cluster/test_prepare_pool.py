"""A set's chunks, prepared in this process: what is handed to a worker is cut from the records once."""

from __future__ import annotations

from collections import Counter

from jobs.cluster.prepare_pool import ChunkJob, PreparePool
from pipeline.datasets.face import Unusable
from pipeline.faces.detector_config import DetectorConfig
from pipeline.shards.manifest import CropPolicy
from pipeline.shards.plan import RECORDS_PER_CHUNK, SetPlan
from pipeline.shards.prepare import ChunkOptions
from pipeline.shards.staging import Staging


class Counted(tuple):
    handed = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        Counted.handed += len(found)  # pools cut slices, nothing else
        return found


def test_every_record_is_handed_out_once(tmp_path, monkeypatch):
    crop = CropPolicy(points="landmarks", side_factor=3.0, size=32, jpeg_quality=95)
    records = Counted(
        Unusable("s", f"{i}", "bad_annotation", "no box") for i in range(20 * RECORDS_PER_CHUNK - 5)
    )
    options = ChunkOptions("unlabelled", None, crop, 1.0, "landmarks", "keep_largest")
    plan = SetPlan("u", f"{tmp_path}/u", "train", records, options, 100, (), {"reader": "none"}, {})
    staging = Staging(str(tmp_path), "u", "0" * 64)
    job = ChunkJob(options, DetectorConfig(), None, staging)
    todo = [index for index in range(plan.chunk_count) if index != 7]
    monkeypatch.setattr(Counted, "handed", 0)
    with PreparePool(0) as pool:
        done = list(pool.run(job, plan, todo))
    assert Counted.handed == len(records) - RECORDS_PER_CHUNK == sum(count for count, _ in done)
    assert sum((reasons for _, reasons in done), Counter()) == {"bad_annotation": Counted.handed}
    assert staging.finished() == set(todo)
