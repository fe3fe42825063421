"""From images in an object store to shards there, verified and read as batches; the store fails now and then."""

from __future__ import annotations

import io
from itertools import islice

import pytest
from PIL import Image

from jobs.prepare import prepare
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import order_for
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.stream import SampleStream
from pipeline.shards.verify import verify
from pipeline.storage import names_in, sizes_in, write_bytes

FACES = 6


def config(root: str, out: str) -> PrepareConfig:
    """Placed by a detector, as it is in earnest; two faces a shard."""
    raw = {
        "out": out,
        "samples_per_shard": 2,
        "min_face_px": 8,
        "max_reject_share": 0.5,
        "sets": [
            {"name": "faces", "role": "unlabelled", "reader": {"reader": "folder", "root": root}},
        ],
    }
    return PrepareConfig.model_validate(raw)


@pytest.fixture
def prepared(s3, tmp_path, monkeypatch):
    """(set prepared from a disk to a disk, set prepared from the store into the store)."""
    monkeypatch.setattr("pipeline.ownership._SETTLE_S", 0.01)
    for index, record in enumerate(SyntheticFaces(FACES, seed=1, near_frontal=True).records()):
        buffer = io.BytesIO()
        Image.fromarray(record.load().image_HW3).save(buffer, "PNG")
        for place in (f"{tmp_path}", "s3://faces"):
            write_bytes(f"{place}/raw/{index:02d}.png", buffer.getvalue())
    (local,) = prepare(config(f"{tmp_path}/raw", f"{tmp_path}/out"), workers=0)
    s3.failures = 5
    (remote,) = prepare(config("s3://faces/raw", "s3://faces/out"), workers=0)
    assert s3.failures == 0
    return local, remote


def test_a_set_is_the_same_wherever_it_is_made_and_read(prepared, s3, capsys, tmp_path, monkeypatch):
    local, remote = prepared
    assert remote.samples == local.samples > FACES // 2
    assert [shard.sha256 for shard in remote.shards] == [shard.sha256 for shard in local.shards]
    assert load_manifest("s3://faces/out/faces") == remote
    assert names_in("s3://faces/out/.staging") == []
    sizes = sizes_in("s3://faces/out/faces")
    assert all(sizes[shard.path] == shard.bytes for shard in remote.shards)

    s3.asked.clear()
    prepare(config("s3://faces/raw", "s3://faces/out"), workers=0)
    assert "faces: up to date" in capsys.readouterr().out
    assert not any(request.endswith(".tar") for request in s3.asked)

    report = verify(["s3://faces/out/faces"], streams=2)
    assert report.ok, report.errors
    order = order_for(remote.shards.samples_S.tolist(), streams=2, seed=3, buffer=2)
    stream = SampleStream("s3://faces/out/faces", order, start=2)
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "of another machine"))
    s3.failures = 3
    s3.asked.clear()
    samples = list(islice(stream, 2 * remote.samples))
    assert s3.failures == 0
    assert all(sample.raw is not None for sample in samples)
    assert {sample.ordinal for sample in samples} == set(range(remote.samples))
    # Two epochs, and every shard came over the network once.
    fetched = [request for request in s3.asked if request.startswith("GET") and request.endswith(".tar")]
    assert len(set(fetched)) == len(fetched) == len(remote.shards)
    loader = BatchLoader(SampleStream("s3://faces/out/faces", order), remote.samples)
    batch = loader.next()
    loader.close()
    assert batch.valid_B.all()
    assert len(set(batch.keys)) == remote.samples
