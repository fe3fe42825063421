"""Groups of faces: each against the same faces measured by themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.evaluation.facts import FaceFacts
from pipeline.evaluation.groups import groups_of, summarise_groups
from pipeline.evaluation.metrics.nme import nme_per_face
from pipeline.evaluation.protocol import evaluate, face_nme

N = 12


def with_facts(predictions, **facts):
    """Each keyword a list of N values of a field of ``FaceFacts``."""
    rows = [
        FaceFacts(
            **{"source": "x", "image": f"{i}", "cut": False} | {name: v[i] for name, v in facts.items()}
        )
        for i in range(N)
    ]
    return dataclasses.replace(predictions, facts_N=np.array([row.model_dump_json() for row in rows]))


@pytest.fixture
def measured(tiny, predict, protocol):
    def run(**facts):
        visible = facts.pop("visible", None)
        predictions = dataclasses.replace(with_facts(predict(tiny), **facts), visible_NK=visible)
        evaluation = evaluate(predictions, tiny, protocol, run="a")
        return (
            {(g.by, g.name): g for g in evaluation.groups},
            100 * face_nme(predictions, tiny, "ocular"),
            predictions,
        )

    return run


def test_each_value_of_an_attribute_is_a_group(measured):
    blur = [{"blur": int(i < 5), "light": ["day", "night", "dusk"][i % 3]} for i in range(N)]
    groups, nme_N, _ = measured(attributes=blur)
    assert list(groups) == [
        ("blur", "no"),
        ("blur", "yes"),
        ("light", "day"),
        ("light", "dusk"),
        ("light", "night"),
    ]
    for key, inside in ((("blur", "yes"), slice(0, 5)), (("light", "night"), slice(1, None, 3))):
        group = groups[key]
        assert group.nme == pytest.approx(nme_N[inside].mean())
        assert group.faces == len(nme_N[inside])
        assert group.interval[0] < group.nme < group.interval[1]
        for t in (5, 10, 20):
            assert group.failure_rate[str(t)] == pytest.approx(100 * (nme_N[inside] > t).mean())
            assert group.auc[str(t)] == pytest.approx(100 * np.clip(1 - nme_N[inside] / t, 0, 1).mean())


def test_common_and_challenging_are_told_by_their_folders(measured):
    images = [f"ibug/{i}.jpg" if i < 4 else f"helen/testset/{i}.jpg" for i in range(N)]
    groups, nme_N, _ = measured(source=["300w"] * N, image=images)
    assert groups["subset", "challenging"].nme == pytest.approx(nme_N[:4].mean())
    assert groups["subset", "common"].nme == pytest.approx(nme_N[4:].mean())
    assert not measured(source=["other"] * N, image=images)[0]  # the folders of another data set mean nothing


def test_poses_in_bins_of_equal_width(measured):
    groups, nme_N, _ = measured(pose=[-2.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 2.9, 3.0, None])
    assert [(name, g.faces) for (_, name), g in groups.items()] == [
        ("−2.0 to −1.0 sd", 1), ("+0.0 to +1.0 sd", 8), ("+2.0 to +3.0 sd", 2)
    ]  # fmt: skip
    assert groups["pose", "+0.0 to +1.0 sd"].nme == pytest.approx(nme_N[1:9].mean())
    assert groups["pose", "−2.0 to −1.0 sd"].interval is None


def test_visible_and_occluded_landmarks_of_the_same_faces(measured, tiny):
    visible = np.ones((N, 6), dtype=bool)
    visible[:7, [1, 4]] = False
    groups, _, predictions = measured(visible=visible)
    errors = np.linalg.norm(predictions.points_NK2 - predictions.target_NK2, axis=-1)
    size_N = np.linalg.norm(predictions.target_NK2[:, 0] - predictions.target_NK2[:, 3], axis=-1)
    occluded = 100 * errors[:7, [1, 4]].mean(1) / size_N[:7]
    assert groups["landmarks", "occluded"].faces == 7
    assert groups["landmarks", "occluded"].nme == pytest.approx(occluded.mean())
    assert groups["landmarks", "visible"].faces == N
    seen = 100 * nme_per_face(np.where(visible, errors, np.nan), size_N)
    assert groups["landmarks", "visible"].nme == pytest.approx(seen.mean())


def test_cut_faces(measured):
    groups, nme_N, _ = measured(cut=[i == 2 for i in range(N)])
    assert groups["crop", "cuts a landmark off"].nme == pytest.approx(nme_N[2])


def test_numbers_of_many_values_are_put_in_quarters_and_words_are_not(tiny, predict):
    attributes = [{"yaw": 1.5 * i, "name": f"n{i}", "codes": [1, 2]} for i in range(N)]
    attributes += [{"yaw": 40.0}, {}]
    many = predict(tiny, faces=N + 2)
    rows = [FaceFacts(source="x", image="", cut=False, attributes=a).model_dump_json() for a in attributes]
    many = dataclasses.replace(many, facts_N=np.array(rows))
    found = {(g.by, g.name): int(g.counts_NK.sum()) for g in groups_of(many, 5)}
    assert found["name", "n3"] == 1  # twelve names are few enough
    assert [count for (by, _), count in found.items() if by == "yaw"] == [3, 3, 3, 4]
    assert not [by for by, _ in found if by == "codes"]


def test_what_all_faces_have_and_what_nobody_asked_is_no_group(measured, tiny, predict):
    assert measured(attributes=[{"blur": 1}] * N)[0] == {}
    plain = predict(tiny)
    assert summarise_groups(plain, np.ones((N, 6)), np.ones(N), (10,), 5) == ()
