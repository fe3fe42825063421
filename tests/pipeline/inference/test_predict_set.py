"""With a generator that knows the truth, predictions are the targets in the ORIGINAL images' pixels."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.errors import TrainingError
from pipeline.evaluation.sizes import face_sizes
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.inference.conditions import Conditions
from pipeline.inference.predict_set import concatenate, predict_shard
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import load_markup
from pipeline.markup_mapping import find_mapping
from pipeline.markup_meeting import meet
from pipeline.methods.laplace import Laplace
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.models.output import Traits
from pipeline.registry import Part
from pipeline.shards.manifest import SampleMeta, load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.write import write_shard


class Truth(nn.Module):
    """Logits whose softmax is the true heatmap of each image in turn, at the network's input size."""

    def __init__(self, points_NK2: np.ndarray) -> None:
        super().__init__()
        self.points_NK2 = torch.from_numpy(points_NK2)
        self.seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        points = self.points_NK2[self.seen : self.seen + len(images)]
        self.seen += len(images)
        height, width = images.shape[-2:]
        return laplace_heatmaps(points, (height, width), 1.0).clamp_min(1e-300).log()


def metas(folder, shard: int = 0) -> list[SampleMeta]:
    path = load_manifest(str(folder)).shards[shard].path
    return [SampleMeta.model_validate_json(raw.json) for raw in iterate_shard(f"{folder}/{path}")]


def truth(folder, size: int) -> LandmarkModel:
    manifest = load_manifest(str(folder))
    # From original px to the network's, written out: edges (10, 6), 120 px a side.
    original = np.array([[(np.nan, np.nan) if p is None else p for p in m.points] for m in metas(folder)])
    network = (original + 0.5 - (10.0, 6.0)) * size / 120.0 - 0.5
    description = ModelDescription(
        name="x", model=Part(name="rcn"), loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68,
        input_size=size, crop=manifest.crop, step=1, averaged=False, parameters=1, config_hash="0", seed=0,
    )  # fmt: skip
    method = Laplace(LaplaceKL(), Traits(), description.layout, size)
    return LandmarkModel(Truth(np.nan_to_num(network, nan=5.0)), method, description).eval()


def predict(folder, size: int, **options):
    return predict_shard(truth(folder, size), load_manifest(str(folder)), str(folder), 0, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_toy_set):
    # More than one batch of 32, so that the second one's place is right too.
    return make_toy_set(tmp_path_factory.mktemp("predict"), 40, seed=9, split="test", samples_per_shard=40)


@pytest.mark.parametrize("size", [80, 64, 96, 160])
def test_predictions_are_in_original_pixels(folder, size):
    got = predict(folder, size)
    target = np.array([m.points for m in metas(folder)])
    assert got.keys.tolist() == [m.key for m in metas(folder)]
    np.testing.assert_allclose(got.target_NK2, target)
    np.testing.assert_allclose(got.scale_N, size / 120.0)
    assert got.mask_NK.all()
    # A drawn heatmap's mean is within 0.01 network px of its point.
    assert np.abs(got.points_NK2 - target).max() < 0.05 * 120.0 / size


def test_scatter_is_in_network_pixels(folder):
    # E‖x − μ‖ of two independent Laplace(1) axes, drawn on pixels; the same whatever the size of the original.
    x, y = np.random.default_rng(0).laplace(size=(2, 400_000))
    expected = np.hypot(x, y).mean()
    for size in (80, 160):
        scatter = predict(folder, size).scatter_NK
        assert np.median(scatter) == pytest.approx(expected, rel=0.06)


def test_small_crops_and_their_places(folder):
    got = predict(folder, 80, thumbnail=40)
    assert got.images_NSS3.shape == (40, 40, 40, 3)
    assert got.images_NSS3.dtype == np.uint8
    np.testing.assert_allclose(got.crops_N3, np.tile((10.0, 6.0, 120.0), (40, 1)))
    points = got.on_thumbnail(3, got.target_NK2[3])
    np.testing.assert_allclose(points, (got.target_NK2[3] + 0.5 - (10.0, 6.0)) / 3.0 - 0.5)
    without = predict(folder, 80, thumbnail=None)
    assert without.images_NSS3 is None
    assert without.crops_N3 is None


def rewritten(source, folder, change):
    manifest = load_manifest(str(source))
    folder.mkdir(exist_ok=True)
    samples = list(iterate_shard(f"{source}/{manifest.shards[0].path}"))
    write_shard(f"{folder}/{manifest.shards[0].path}", [change(i, raw) for i, raw in enumerate(samples)])
    (folder / "manifest.json").write_text((source / "manifest.json").read_text())
    return folder


def test_unknown_landmarks_are_masked(folder, tmp_path):
    def hide(index, raw):
        meta = json.loads(raw.json)
        meta["points"] = [
            None if (index, k) in {(0, 4), (33, 67)} else p for k, p in enumerate(meta["points"])
        ]
        return raw._replace(json=json.dumps(meta).encode())

    got = predict(rewritten(folder, tmp_path, hide), 80)
    assert np.argwhere(~got.mask_NK).tolist() == [[0, 4], [33, 67]]
    assert np.isfinite(got.target_NK2).all()
    target = np.array([m.points for m in metas(folder)])
    assert np.abs(got.points_NK2 - target)[got.mask_NK].max() < 0.05 * 1.5


def test_a_test_set_is_never_thinned_out(folder, tmp_path):
    broken = rewritten(folder, tmp_path, lambda i, raw: raw._replace(jpg=b"x") if i == 35 else raw)
    with pytest.raises(TrainingError, match="could not be used") as caught:
        predict(broken, 80)
    assert metas(folder)[35].key in str(caught.value)
    broken = rewritten(folder, tmp_path, lambda i, raw: raw._replace(json=b"{}") if i == 35 else raw)
    with pytest.raises(TrainingError, match=f"'{metas(folder)[35].key}' could not be used"):
        predict_shard(truth(folder, 80), load_manifest(str(broken)), str(broken), 0)


def test_parts_are_joined_in_order(folder):
    whole = predict(folder, 80)
    fields = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
    halves = [
        type(whole)(**{n: None if v is None else v[part] for n, v in fields.items()})
        for part in (slice(0, 7), slice(7, None))
    ]
    joined = concatenate(halves)
    for name, value in fields.items():
        np.testing.assert_array_equal(getattr(joined, name), value)
    assert concatenate([predict(folder, 80, thumbnail=None)]).images_NSS3 is None


def met(folder, target: str | None = None, **options) -> Conditions:
    layout = load_manifest(str(folder)).layout
    return Conditions(meet([layout], layout, None if target is None else load_markup(target)), **options)


def test_predictions_and_truth_are_mapped_to_another_markup(folder):
    plain, five = predict(folder, 80), predict(folder, 80, conditions=met(folder, "mtfl5"))
    mapping = find_mapping(load_markup("ibug68"), load_markup("mtfl5"))
    np.testing.assert_allclose(five.points_NK2, mapping.points(plain.points_NK2))
    np.testing.assert_allclose(five.target_NK2, mapping.points(plain.target_NK2))
    np.testing.assert_allclose(five.covariance_NK22, mapping.covariances(plain.covariance_NK22), rtol=1e-5)
    np.testing.assert_allclose(five.scatter_NK, mapping.means(plain.scatter_NK))
    assert five.mask_NK.shape == (40, 5)
    assert five.mask_NK.all()
    # Five points have no outer eye corners: the size is the set's own.
    assert plain.sizes_N4 is None
    own = face_sizes(plain, load_markup("ibug68"), "ocular")
    np.testing.assert_allclose(face_sizes(five, load_markup("mtfl5"), "ocular"), own)
    same = predict(folder, 80, conditions=met(folder))
    np.testing.assert_array_equal(same.points_NK2, plain.points_NK2)


def test_landmarks_without_counterpart_do_not_count(folder):
    got = predict(folder, 80, conditions=met(folder, "cofw29"))
    assert np.flatnonzero(~got.mask_NK.all(0)).tolist() == [4, 5, 6, 7]
    assert not got.mask_NK[:, 4:8].any()


def test_a_box_that_lies_elsewhere_gives_the_same_places_in_the_image(make_colour_model, make_spots, folder):
    """The colours' brightest spots stay where they are in the original image, whatever the crop."""
    manifest = load_manifest(str(folder))
    model = make_colour_model()
    layout = model.description.layout
    own = manifest.model_copy(
        update={"markup": "colours", "markup_definition": layout.definition, "num_landmarks": 3}
    )
    metas_of = metas(folder)

    def three(index, raw):
        meta = json.loads(raw.json)
        meta["points"], meta["visible"] = meta["points"][:3], meta["visible"] and meta["visible"][:3]
        return raw._replace(json=json.dumps(meta).encode(), jpg=spotted(index))

    rng = np.random.default_rng(3)
    places = rng.uniform(20, 60, (len(metas_of), 3, 2))

    def spotted(index):
        buffer = io.BytesIO()
        Image.fromarray(make_spots(80, 80, places[index], 3.0)).save(
            buffer, "JPEG", quality=98, subsampling=0
        )
        return buffer.getvalue()

    where = rewritten(folder, folder.parent / "spots", three)
    plain = predict_shard(model, own, str(where), 0)
    noisy = predict_shard(model, own, str(where), 0, conditions=Conditions(box_noise=0.1))
    assert np.abs(noisy.crops_N3 - plain.crops_N3).max() > 5
    assert not np.array_equal(noisy.scale_N, plain.scale_N)
    assert np.median(np.abs(noisy.points_NK2 - plain.points_NK2)) < 0.5
    # Three colours on an image without sides: mirrored and back they are where they were.
    flipped = predict_shard(model, own, str(where), 0, conditions=Conditions(flip=True))
    assert np.median(np.abs(flipped.points_NK2 - plain.points_NK2)) < 0.2
    assert flipped.scatter_NK is None
    hidden = predict_shard(model, own, str(where), 0, conditions=Conditions(perturbation="occlusion-large"))
    assert (hidden.images_NSS3 == 0).all(-1).any((1, 2)).all()
    assert np.abs(hidden.points_NK2 - plain.points_NK2).max() > 5
