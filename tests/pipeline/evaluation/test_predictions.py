"""Predictions: checks, thumbnails' geometry, and a round trip that never touches pickle."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions


def same(a: Predictions, b: Predictions) -> bool:
    for field in dataclasses.fields(Predictions):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if (x is None) != (y is None) or (x is not None and (x.dtype != y.dtype or not np.array_equal(x, y))):
            return False
    return True


COVARIANCES = np.tile(np.eye(2, dtype=np.float32), (12, 6, 1, 1))


def first_face(covariance):
    changed = COVARIANCES.copy()
    changed[0, 3] = covariance
    return changed


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("scatter", [True, False])
@pytest.mark.parametrize("covariance", [1.0, None])
def test_round_trip(tmp_path, tiny, predict, images, scatter, covariance):
    predictions = predict(tiny, images=images, covariance=covariance)
    if not scatter:
        predictions = dataclasses.replace(predictions, scatter_NK=None)
    url = str(tmp_path / "deep" / "predictions.npz")
    predictions.save(url)
    assert same(Predictions.load(url), predictions)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["predictions.npz"]


def test_round_trip_keeps_masked_nan(tmp_path, tiny, predict):
    predictions = predict(tiny)
    predictions.mask_NK[0, 0] = False
    predictions.target_NK2[0, 0] = np.nan
    predictions.save(str(tmp_path / "p.npz"))
    loaded = Predictions.load(str(tmp_path / "p.npz"))
    np.testing.assert_array_equal(loaded.target_NK2, predictions.target_NK2)


def test_round_trip_through_an_object_store(tiny, predict):
    predictions = predict(tiny)
    predictions.save("memory://evaluation/predictions.npz")
    assert same(Predictions.load("memory://evaluation/predictions.npz"), predictions)


def test_same_predictions_are_the_same_bytes(tmp_path, tiny, predict):
    for name in ("a.npz", "b.npz"):
        predict(tiny).save(str(tmp_path / name))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def outcome(url: str, original: Predictions) -> str:
    try:
        return "unharmed" if same(Predictions.load(url), original) else "altered"
    except DataError as error:
        return "refused" if url in str(error) else f"refused without naming the file: {error}"


class Trap:
    """Pickles into a call that would leave a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (self.trace, "w"))


def test_a_pickle_inside_is_refused_and_not_run(tmp_path, tiny, predict):
    arrays = {f.name: getattr(predict(tiny), f.name) for f in dataclasses.fields(Predictions)}
    trace = tmp_path / "executed"
    arrays["keys"] = np.array([Trap(str(trace))] * 12, dtype=object)
    np.savez(tmp_path / "evil.npz", format=np.array("landmark-pipeline/predictions/1"), **arrays)
    with pytest.raises(DataError, match=r"evil\.npz"):
        Predictions.load(str(tmp_path / "evil.npz"))
    assert not trace.exists()


def test_damaged_and_foreign_files_are_named(tmp_path, tiny, predict):
    good = tmp_path / "good.npz"
    predict(tiny).save(str(good))
    content = good.read_bytes()
    for name, damaged in (
        ("cut.npz", content[: len(content) // 2]),
        ("empty.npz", b""),
        ("text.npz", b"hello" * 9),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError, match=name):
            Predictions.load(str(tmp_path / name))
    outcomes = []
    for at in range(len(content) // 8, len(content), len(content) // 8):
        flipped = bytearray(content)
        flipped[at] ^= 0xFF
        (tmp_path / "flipped.npz").write_bytes(flipped)
        outcomes.append(outcome(str(tmp_path / "flipped.npz"), predict(tiny)))
    # A flip in a field of the archive that nobody reads is harmless; none gives other numbers.
    assert set(outcomes) <= {"refused", "unharmed"}
    assert outcomes.count("refused") >= 5
    np.savez(tmp_path / "other.npz", keys=np.array(["a"]))
    with pytest.raises(DataError, match="'format'"):
        Predictions.load(str(tmp_path / "other.npz"))
    np.savez(tmp_path / "extra.npz", format=np.array("landmark-pipeline/predictions/1"), surprise=np.ones(1))
    with pytest.raises(DataError, match="surprise"):
        Predictions.load(str(tmp_path / "extra.npz"))
    with pytest.raises(DataError, match="no such predictions"):
        Predictions.load(str(tmp_path / "absent.npz"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("keys", np.array(["same"] * 12), "'same' appears twice"),
        ("keys", np.arange(12), "expected \\(N,\\) str"),
        ("keys", np.array([], dtype=str), "hold no face"),
        ("points_NK2", np.zeros((12, 6, 3)), "points_NK2"),
        (
            "points_NK2",
            np.full((12, 6, 2), np.nan),
            "'points_NK2': not finite for 12 of 12 faces, first 'face-000'",
        ),
        ("target_NK2", np.full((12, 6, 2), np.inf), "mask unknown landmarks out"),
        ("mask_NK", np.ones((12, 6)), "expected bool"),
        ("mask_NK", np.ones((11, 6), dtype=bool), "mask_NK"),
        ("scale_N", np.zeros(12), "scale must be positive"),
        ("scatter_NK", np.full((12, 6), np.nan), "scatter_NK"),
        ("covariance_NK22", np.zeros((12, 6, 2, 3), dtype=np.float32), "'covariance_NK22': shape"),
        ("covariance_NK22", np.zeros((12, 6, 2, 2)), "float64, expected float32"),
        (
            "covariance_NK22",
            np.full((12, 6, 2, 2), np.inf, dtype=np.float32),
            "'covariance_NK22': not finite for 12 of 12",
        ),
        ("covariance_NK22", first_face([[1, 2], [2, 1]]), "not sound for 1 of 12 faces, first 'face-000'"),
        ("covariance_NK22", first_face([[-1, 0], [0, -1]]), "positive semidefinite"),
        ("covariance_NK22", first_face([[1, 0.5], [0.4, 1]]), "symmetric"),
        ("images_NSS3", None, "go together"),
        ("images_NSS3", np.zeros((12, 8, 8, 3)), "expected uint8"),
        ("images_NSS3", np.zeros((12, 8, 9, 3), dtype=np.uint8), "not square"),
    ],
)
def test_bad_arrays_are_named(tiny, predict, field, value, message):
    with pytest.raises(DataError, match=message):
        dataclasses.replace(predict(tiny), **{field: value})


def test_points_land_on_the_small_crop(tiny, predict):
    predictions = predict(tiny, size=80)  # left, top 20, side 160: half scale
    corners = np.array([[19.5, 19.5], [179.5, 179.5]])  # the square's edges, pixel-centre convention
    assert predictions.on_thumbnail(3, corners) == pytest.approx(np.array([[-0.5, -0.5], [79.5, 79.5]]))
    with pytest.raises(DataError, match="keep no images"):
        predict(tiny, images=False).on_thumbnail(0, corners)


def test_covariances_that_only_rounding_makes_odd_are_taken(tiny, predict):
    rounding = np.float32(1 + 1e-6)
    for value in ([[4, 2], [2, 1]], [[0, 0], [0, 0]], [[1, rounding], [1, 1]], [[1e4, 0], [0, 1e-6]]):
        dataclasses.replace(predict(tiny), covariance_NK22=first_face(value))


def test_a_file_from_before_covariances_still_loads(tmp_path, tiny, predict):
    plain = predict(tiny)
    names = (
        "keys",
        "points_NK2",
        "target_NK2",
        "mask_NK",
        "scale_N",
        "scatter_NK",
        "images_NSS3",
        "crops_N3",
    )
    arrays = {name: getattr(plain, name) for name in names}
    np.savez(tmp_path / "old.npz", format=np.array("landmark-pipeline/predictions/1"), **arrays)
    assert same(Predictions.load(str(tmp_path / "old.npz")), plain)


def test_covariance_on_the_small_crop(tiny, predict):
    predictions = predict(tiny, size=80, noise=2.0, covariance=1.0)  # half scale: a quarter of the px²
    assert predictions.covariance_on_thumbnail(0) == pytest.approx(np.tile(np.eye(2), (6, 1, 1)))
    for without in (predict(tiny), predict(tiny, images=False, covariance=1.0)):
        with pytest.raises(DataError, match="no images or no covariances"):
            without.covariance_on_thumbnail(0)
