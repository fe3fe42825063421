"""Faces of a prepared set, recognised in other images."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ManifestError, ShardError
from pipeline.shards.duplicates import SetDuplicates, decode_crop, index_of_sets
from pipeline.shards.read import RawSample, iterate_shard


def image(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((80, 80), Image.Resampling.BICUBIC))


def test_copies_are_named_and_others_are_not():
    index = pickle.loads(pickle.dumps(SetDuplicates((f"key-{i}", image(i)) for i in range(5))))
    darker = (image(3) * 0.8).astype(np.uint8)
    assert index.matches([image(9), darker, image(1)[:, ::-1]]) == [None, "key-3", "key-1"]


def test_index_of_a_prepared_set(toy_sets):
    index = index_of_sets([str(toy_sets["test"])])
    folder = toy_sets["test"]
    samples = [s for path in sorted(folder.glob("*.tar")) for s in iterate_shard(str(path))]
    assert index.matches([decode_crop(s, "t") for s in samples]) == [s.key for s in samples]
    with pytest.raises(ManifestError, match="no such manifest"):
        index_of_sets([str(folder / "nowhere")])


def test_damaged_image():
    buffer = io.BytesIO()
    Image.fromarray(image(0)).save(buffer, "JPEG")
    with pytest.raises(ShardError, match=r"a\.tar: k\.jpg cannot be decoded"):
        decode_crop(RawSample("k", buffer.getvalue()[:300], b""), "a.tar")
