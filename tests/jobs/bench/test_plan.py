"""``landmarks bench plan``: a rank of a small corpus, in a process of its own."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from jobs.bench.plan import bench, corpus
from jobs.bench.plan_rank import measure
from pipeline.errors import ConfigError
from pipeline.shards.manifest import dump_manifest
from pipeline.storage import write_text


def test_shards_share_the_samples_evenly() -> None:
    manifest = corpus(1003, 10)
    assert manifest.shards.samples_S.tolist() == [101] * 3 + [100] * 7
    assert manifest.shards[9].path == "faces-0a1b2c3d-000009.tar"
    assert len({shard.sha256 for shard in manifest.shards}) == 10


def test_a_rank_is_measured_up_to_the_first_sample_of_each_of_its_streams(tmp_path) -> None:
    write_text(f"{tmp_path}/manifest.json", dump_manifest(corpus(400, 40)))
    found = measure(str(tmp_path), streams=8, rank=1, ranks=4, start=96, count=200)
    assert set(found) == {"manifest_seconds", "order_seconds", "seconds", "cpu_seconds", "mib"}
    assert np.isfinite(list(found.values())).all()


def test_both_places_of_an_epoch_with_all_and_with_half(tmp_path, capsys) -> None:
    out = tmp_path / "plan.csv"
    bench(samples=1000, shards=[20], ranks=4, out=str(out))
    rows = list(csv.DictReader(out.open()))
    assert [(row["chosen"], row["epoch"]) for row in rows] == [
        *(("1000", "start"), ("1000", "middle"), ("500", "start"), ("500", "middle")),
    ]
    assert {(row["samples"], row["shards"], row["ranks"]) for row in rows} == {("1000", "20", "4")}
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert "one of 4 ranks on 1,000 samples" in capsys.readouterr().out


@pytest.mark.parametrize("shards", [3, 1001])
def test_what_no_rank_could_be_dealt_is_refused(shards) -> None:
    with pytest.raises(ConfigError, match=rf"--shards {shards}: give 4 \(one a rank\) … 1000"):
        bench(samples=1000, shards=[shards], ranks=4, out=None)
