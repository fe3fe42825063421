"""The panels of a report show the set's first faces, for every model the same ones."""

import numpy as np
import torch

from pipeline.inference.panels import heatmap_panels
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part, build
from pipeline.shards.manifest import load_manifest
from pipeline.shards.read import iterate_shard


def save(folder, data, size: int, seed: int) -> str:
    part = Part.model_validate({"name": "rcn", "width": 4})
    torch.manual_seed(seed)
    generator = build("model", part, num_landmarks=68)
    description = ModelDescription(
        name="x", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=size,
        crop=load_manifest(str(data)).crop, step=1, averaged=False, parameters=1, config_hash="0", seed=0,
    )  # fmt: skip
    save_model(str(folder), description, generator.state_dict())
    return str(folder)


def test_panels(toy_sets, tmp_path):
    data = toy_sets["test"]
    first = load_manifest(str(data)).shards[0].path
    keys = [raw.key for raw in iterate_shard(f"{data}/{first}")][:3]
    one = heatmap_panels(save(tmp_path / "a", data, 80, 0), str(data), 3)
    other = heatmap_panels(save(tmp_path / "b", data, 80, 1), str(data), 3)
    larger = heatmap_panels(save(tmp_path / "c", data, 96, 0), str(data), 3)
    assert [k for k, _ in one] == [k for k, _ in other] == [k for k, _ in larger] == keys
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert a.size == b.size
        assert a.width > a.height  # the face beside its heatmaps
        assert not np.array_equal(np.asarray(a), np.asarray(b))  # other weights, other heatmaps
