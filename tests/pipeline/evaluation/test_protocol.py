"""Protocols' names, an evaluation by hand, and the JSON it becomes."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.evaluation.metrics.nme import NORMALISATIONS
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Protocol, dump, evaluate, face_nme, load, save
from pipeline.markup import Markup


def test_names():
    assert Protocol(dataset="300w", split="test").name == "300w/test · ocular · detector box · no flip"
    full = Protocol(
        dataset="wflw",
        subset="occlusion",
        split="test",
        normalisation="box",
        box_source="landmarks",
        flip_test=True,
    )
    assert full.name == "wflw/occlusion/test · box · ground-truth-landmark box · flip test"
    # Every field that changes what is measured changes the name.
    base = Protocol(dataset="300w", split="test")
    others = [
        {"dataset": "cofw"},
        {"subset": "common"},
        {"split": "validation"},
        {"normalisation": "pupil"},
        {"box_source": "dataset"},
        {"flip_test": True},
        {"markup": "aflw19", "landmarks": 19},
        {"box_noise": 0.05},
        {"perturbation": "blur-large"},
    ]
    assert {name for change in others for name in change} == set(Protocol.model_fields)
    assert len({base.name, *(base.model_copy(update=change).name for change in others)}) == 10
    with pytest.raises(ValidationError):
        Protocol(dataset="300w", split="test", normalization="ocular")


def test_what_is_unlike_a_plain_measurement_is_a_part_of_file_names():
    assert Protocol(dataset="300w", split="test", normalisation="box").variant == ""
    special = Protocol(
        dataset="300w",
        split="test",
        flip_test=True,
        markup="aflw19",
        landmarks=17,
        box_noise=0.05,
        perturbation="blur-medium",
    )
    assert special.variant == "flip-aflw19-17-box-noise-0.05-blur-medium"


@pytest.fixture
def shifted(tiny_face) -> Predictions:
    """Two faces, each landmark off by (3, 4) px; the second at twice the size."""
    target = np.stack([tiny_face, 2 * tiny_face])
    return Predictions(
        keys=np.array(["a", "b"]),
        points_NK2=target + np.array([3.0, 4.0]),
        target_NK2=target,
        mask_NK=np.ones((2, 6), dtype=bool),
        scale_N=np.array([1.0, 0.5]),
        scatter_NK=np.full((2, 6), 2.0),
    )


def test_numbers_by_hand(shifted, tiny, protocol):
    result = evaluate(shifted, tiny, protocol, run="base", provenance={"seed": 3})
    sizes = {"ocular": 100, "pupil": 70, "box": 100, "diagonal": 100 * math.sqrt(2)}
    for name in NORMALISATIONS:
        # 5 px over d and over 2d.
        assert result.errors[name].nme == pytest.approx(100 * 0.75 * 5 / sizes[name])
    assert result.headline == result.errors["ocular"]
    assert result.headline.failure_rate["5"] == 0.0  # exactly 5 % is no failure
    assert result.headline.auc["10"] == pytest.approx(100 * (0.5 + 0.75) / 2)
    assert result.scatter is not None
    assert result.scatter.grid_px == 2.0
    assert result.scatter.original_px == pytest.approx((2 + 4) / 2)
    assert result.per_landmark.px == pytest.approx([5.0] * 6)
    assert (result.faces, result.landmarks, result.run) == (2, 12, "base")
    assert result.provenance == {"seed": 3}
    assert face_nme(shifted, tiny, "ocular") == pytest.approx([0.05, 0.025])


def test_headline_and_landmarks_follow_the_protocols_normalisation(shifted, tiny, protocol):
    by_pupil = protocol.model_copy(update={"normalisation": "pupil"})
    result = evaluate(shifted, tiny, by_pupil, run="base")
    assert result.headline == result.errors["pupil"]
    assert result.per_landmark.percent == pytest.approx([100 * (5 / 70 + 5 / 140) / 2] * 6)
    assert face_nme(shifted, tiny, "pupil") == pytest.approx([5 / 70, 5 / 140])


def test_undefined_faces_are_counted(shifted, tiny, protocol):
    shifted.mask_NK[0, 0] = False
    result = evaluate(shifted, tiny, protocol, run="base")
    assert (result.headline.faces, result.headline.undefined, result.faces) == (1, 1, 2)
    assert result.headline.nme == pytest.approx(2.5)
    assert result.errors["diagonal"].undefined == 0
    assert result.landmarks == 11


def test_a_normalisation_that_is_nowhere_defined_is_refused(shifted, tiny, protocol):
    blind = dataclasses.replace(tiny, ocular=None)
    with pytest.raises(DataError, match=r"'ocular' is undefined on all 2 faces.*pupil, box, diagonal"):
        evaluate(shifted, blind, protocol, run="base")
    by_box = protocol.model_copy(update={"normalisation": "box"})
    assert evaluate(shifted, blind, by_box, run="base").errors["ocular"].nme is None


def test_wrong_markup_is_refused(shifted, protocol):
    with pytest.raises(DataError, match="predicts 6 landmarks, but markup 'five' has 5"):
        evaluate(shifted, Markup("five", 5, (), ()), protocol, run="base")


def test_json_round_trip(tmp_path, shifted, tiny, protocol):
    result = evaluate(
        shifted,
        tiny,
        protocol,
        run="Grüße <b>",
        provenance={"versions": {"numpy": "2"}, "seed": None},
        selected_on_test=True,
    )
    url = str(tmp_path / "evaluation.json")
    save(result, url)
    assert load(url) == result
    raw = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert raw["errors"]["ocular"]["nme"] == pytest.approx(3.75)
    assert raw["units"].startswith("nme, failure_rate, auc: per cent")
    assert raw["protocol_name"] == protocol.name
    assert raw["selected_on_test"] is True
    assert dump(load(url)) == dump(result)


def test_bad_json_is_named(tmp_path, shifted, tiny, protocol):
    text = dump(evaluate(shifted, tiny, protocol, run="base"))
    cases = {
        "cut.json": (text[:200], "whole"),
        "version.json": (text.replace('"version": 1', '"version": 9'), "version"),
        "unknown.json": (
            text.replace('"faces": 2,\n  "format"', '"faces": 2, "surprise": 1,\n  "format"'),
            "surprise",
        ),
    }
    for name, (content, field) in cases.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=rf"{name}: field '.*{field}"):
            load(str(tmp_path / name))
    with pytest.raises(DataError, match="no such evaluation"):
        load(str(tmp_path / "absent.json"))
