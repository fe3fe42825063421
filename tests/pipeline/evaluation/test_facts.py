"""What a set says of its faces is kept as text and read strictly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.facts import FaceFacts, facts_of
from pipeline.evaluation.predictions import Predictions


def test_facts_survive_the_file(tiny, predict, tmp_path):
    facts = [
        FaceFacts(
            source="wflw", image=f"{i}.jpg", cut=i == 2, pose=None if i else -0.5, attributes={"blur": i % 2}
        )
        for i in range(12)
    ]
    kept = dataclasses.replace(predict(tiny), facts_N=np.array([face.model_dump_json() for face in facts]))
    kept.save(str(tmp_path / "p.npz"))
    assert facts_of(Predictions.load(str(tmp_path / "p.npz"))) == facts
    assert facts_of(predict(tiny)) == []


def test_what_is_no_fact_is_named(tiny, predict):
    broken = dataclasses.replace(predict(tiny), facts_N=np.array(["{}"] * 12))
    with pytest.raises(DataError, match="field 'facts_N'"):
        facts_of(broken)
