"""The validation error against plain numpy, whatever the batch size and however the set is shared out."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.errors import TrainingError
from pipeline.losses.l1 import L1
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import Curve, Markup, load_markup
from pipeline.methods.anisotropic import Anisotropic
from pipeline.methods.laplace import Laplace
from pipeline.models.output import Output, Stage, Traits
from pipeline.shards.manifest import Manifest, SampleMeta, dump_manifest, load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.write import encode_meta, write_shard
from pipeline.storage import write_text
from pipeline.training.validate import normaliser, validate

CPU = torch.device("cpu")


class Guess(nn.Module):
    """Smooth heatmaps that depend on the image; dropout shows whether it is evaluated in evaluation mode."""

    def __init__(self, landmarks: int = 68) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, landmarks, 5, padding=2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 4 * self.dropout(self.conv(images))


def run(folder, **options) -> dict[str, float]:
    defaults = {"input_size": 80, "batch": 7, "device": CPU}
    module = options.pop("module", None) or Guess()
    markup = options.pop("markup", None) or load_markup("ibug68")
    method = Laplace(LaplaceKL(), Traits(), markup, (defaults | options)["input_size"])
    return validate(module, method, str(folder), markup, **(defaults | options)).metrics


def reference(folder, size: int = 80) -> dict[str, float]:
    """Read the tars, predict one image at a time, and do the rest in numpy."""
    module, errors, spreads = Guess().eval(), [], []
    manifest = load_manifest(str(folder))
    grid = np.arange(size)
    for shard in manifest.shards:
        for raw in iterate_shard(f"{folder}/{shard.path}"):
            meta = SampleMeta.model_validate_json(raw.json)
            image = torch.from_numpy(np.array(Image.open(io.BytesIO(raw.jpg)).convert("RGB")))
            image = image.permute(2, 0, 1)[None].float() / 255
            target = meta.crop_points()
            if size != manifest.crop.size:
                image = nn.functional.interpolate(image, (size, size), mode="bilinear", antialias=True)
                target = (target + 0.5) * size / manifest.crop.size - 0.5
            with torch.no_grad():
                logits = module(image)[0].double().numpy().reshape(68, -1)
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p = (p / p.sum(axis=1, keepdims=True)).reshape(68, size, size)
            x, y = (p.sum(1) * grid).sum(1), (p.sum(2) * grid).sum(1)
            distance = np.hypot(x - target[:, 0], y - target[:, 1])
            eyes = np.hypot(*(target[36] - target[45]))
            if np.isfinite(eyes):  # a face with no known landmark has none either
                errors.append(np.nanmean(distance) / eyes)
            away = np.hypot(grid[None, None, :] - x[:, None, None], grid[None, :, None] - y[:, None, None])
            spreads.append((p * away).sum((1, 2)).mean())
    return {"nme": 100 * np.mean(errors), "scatter": np.mean(spreads)}


@pytest.mark.parametrize("size", [80, 64])
def test_against_numpy(toy_sets, size):
    expected = reference(toy_sets["validation"], size)
    got = run(toy_sets["validation"], input_size=size)
    assert got["nme"] == pytest.approx(expected["nme"], rel=1e-4)
    assert got["scatter"] == pytest.approx(expected["scatter"], rel=1e-4)
    assert (got["faces"], got["undefined"]) == (20, 0)


def test_the_result_does_not_depend_on_the_batch_size(toy_sets):
    one = run(toy_sets["validation"], batch=1)
    for batch in (3, 20, 64):
        got = run(toy_sets["validation"], batch=batch)
        for name, value in one.items():
            assert got[name] == pytest.approx(value, rel=1e-5), name


def test_the_module_is_evaluated_and_given_back_as_it_was(toy_sets):
    training = Guess().train()
    assert run(toy_sets["validation"], module=training) == run(toy_sets["validation"], module=Guess().eval())
    assert training.training
    evaluating = Guess().eval()
    run(toy_sets["validation"], module=evaluating)
    assert not evaluating.training


def test_two_ranks_measure_what_one_does(toy_sets, tmp_path):
    arguments = [str(tmp_path / "store"), str(toy_sets["validation"]), str(tmp_path)]
    ranks = [subprocess.Popen([sys.executable, __file__, str(rank), *arguments]) for rank in (0, 1)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    one = run(toy_sets["validation"], batch=3)
    for rank in (0, 1):
        got = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert got.keys() == one.keys()
        for name, value in one.items():
            assert got[name] == pytest.approx(value, rel=1e-14), (
                name
            )  # the same batches, summed in another order


def rewritten(source, folder, change):
    """The set with each sample's metadata changed: ``change(index, raw_meta)`` returns the changes, or None to break the JPEG."""
    manifest = load_manifest(str(source))
    entries, index = [], 0
    for shard in manifest.shards:
        samples = []
        for raw in iterate_shard(f"{source}/{shard.path}"):
            meta = SampleMeta.model_validate_json(raw.json)
            changes = change(index, meta)
            index += 1
            if changes is None:
                raw = raw._replace(jpg=b"broken")
            else:
                raw = raw._replace(json=encode_meta(meta.model_copy(update=changes)))
            samples.append(raw)
        entry: ShardEntry = write_shard(f"{folder}/{shard.path}", samples)
        entries.append(entry)
    changed = Manifest.model_validate(manifest.model_dump() | {"shards": entries})
    write_text(f"{folder}/manifest.json", dump_manifest(changed))
    return folder


def test_faces_without_eye_corners_are_counted_apart(toy_sets, tmp_path):
    def hide(index, meta):
        # Two faces lack an eye corner, one any landmark; a fourth lacks only its chin, which its mean leaves out.
        lost = {0: {36}, 1: {45}, 2: set(range(68)), 3: {8}}.get(index, set())
        return {"points": [None if k in lost else p for k, p in enumerate(meta.points)]}

    folder = rewritten(toy_sets["validation"], tmp_path / "set", hide)
    got = run(folder)
    assert (got["faces"], got["undefined"]) == (17, 3)
    assert got["nme"] == pytest.approx(reference(folder)["nme"], rel=1e-4)
    assert np.isfinite(list(got.values())).all()
    assert got == pytest.approx(run(folder, batch=1), rel=1e-5)


def test_a_broken_image_is_undefined_not_an_error_of_the_model(toy_sets, tmp_path):
    folder = rewritten(toy_sets["validation"], tmp_path / "set", lambda i, _meta: None if i == 4 else {})
    got = run(folder)
    assert (got["faces"], got["undefined"]) == (19, 1)


def test_a_diverged_model_is_not_the_best(toy_sets):
    class Diverged(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 68, *images.shape[-2:]), torch.nan)

    with pytest.raises(TrainingError, match="not finite: training diverged"):
        run(toy_sets["validation"], module=Diverged())


def test_a_set_that_nothing_can_be_measured_on(toy_sets, tmp_path):
    folder = rewritten(
        toy_sets["validation"],
        tmp_path / "set",
        lambda _i, meta: {"points": [None if k == 36 else p for k, p in enumerate(meta.points)]},
    )
    with pytest.raises(TrainingError, match="none of its 20 faces has the landmarks"):
        run(folder)


def test_face_sizes_by_hand():
    points = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [6.0, 1.0]], [[0.0, 0.0], [torch.nan] * 2, [2.0, 8.0]]])
    eyes = Markup("m", 3, (Curve("c", (0, 1)),), (), ocular=(0, 1))
    sizes = normaliser(points, eyes)
    assert sizes[0] == 5.0
    assert torch.isnan(sizes[1])
    # Without eye corners: sqrt(width · height) of the known landmarks' box.
    sizes = normaliser(points, Markup("m", 3, (), ()))
    torch.testing.assert_close(sizes, torch.tensor([24.0, 16.0]).sqrt())


def _rank(rank: int, store: str, folder: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    result = run(folder, rank=rank, world_size=2, batch=3)
    Path(out, f"rank{rank}.json").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _rank(int(sys.argv[1]), *sys.argv[2:])


class Fixed(nn.Module):
    """Every landmark in one place: a regressor that states no uncertainty."""

    def forward(self, images: torch.Tensor) -> Output:
        return Output((Stage(points=torch.full((len(images), 68, 2), 40.0)),))


def test_a_network_without_uncertainty_gets_that_of_its_errors(toy_sets):
    folder, markup = str(toy_sets["validation"]), load_markup("ibug68")
    method = Anisotropic(L1(), Traits(gives=frozenset({"points"})), markup, 80)
    got = validate(Fixed(), method, folder, markup, input_size=80, batch=7, device=CPU)
    manifest = load_manifest(folder)
    errors = np.stack(
        [
            40.0 - SampleMeta.model_validate_json(raw.json).crop_points()
            for shard in manifest.shards
            for raw in iterate_shard(f"{folder}/{shard.path}")
        ]
    )
    np.testing.assert_allclose(got.residual_K22, np.einsum("nki,nkj->kij", errors, errors) / 20, rtol=1e-4)
    assert "scatter" not in got.metrics
    np.testing.assert_allclose(got.residual_covariance(), got.residual_K22)
    assert (
        validate(
            Guess(),
            Laplace(LaplaceKL(), Traits(), markup, 80),
            folder,
            markup,
            input_size=80,
            batch=7,
            device=CPU,
        ).residual_K22
        is None
    )
