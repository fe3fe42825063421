"""Configs that cannot work are refused before anything is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.shards.prepare_config import PrepareConfig


def config(**changes):
    labelled = {"name": "train", "role": "labelled", "reader": {"reader": "folder"}}
    return {"out": "o", "sets": [labelled], **changes}


def entry(name="u", **changes):
    return {"name": name, "role": "unlabelled", "reader": {"reader": "folder"}, **changes}


def test_defaults_are_the_papers():
    crop = PrepareConfig.model_validate(config()).crop
    assert (crop.points, crop.side_factor, crop.size) == ("detector", 3.0, 80)


def test_a_whole_image_is_as_large_as_it_is_unless_told_otherwise():
    crops = [{"points": "image"}, {"points": "image", "side_factor": 1.1}, {"points": "box"}]
    factors = [PrepareConfig.model_validate(config(crop=crop)).crop.side_factor for crop in crops]
    assert factors == [1.0, 1.1, 3.0]
    assert PrepareConfig.model_validate(config(crop={"points": "image"}, sets=[entry()])).sets[0].name == "u"


def test_a_set_may_override_the_crop():
    parsed = PrepareConfig.model_validate(config(sets=[entry(crop={"size": 256}), entry("v")]))
    assert [parsed.crop_of(s).size for s in parsed.sets] == [256, 80]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": []}, "at least 1 item"),
        ({"sample_per_shard": 3}, "Extra inputs are not permitted"),
        ({"detector": {"min_faces": 1}}, "unknown field 'min_faces'; known: canvases"),
        ({"crop": {"points": "landmarks"}, "sets": [entry()]}, "unlabelled faces have no landmarks"),
        ({"crop": {"points": "box"}, "sets": [entry()]}, "unlabelled faces have no boxes.*or to image"),
        ({"sets": [entry(), entry()]}, "two sets are called 'u'"),
        ({"sets": [entry("a/b")]}, "becomes file names"),
        ({"sets": [entry("../x")]}, "becomes file names"),
        ({"sets": [entry(validation={})]}, "only a labelled training set has a validation part"),
        ({"sets": [entry(drop_near_duplicates_of=["test"])]}, r"none of the sets listed before it \(none\)"),
        ({"max_reject_share": 2}, "less than or equal to 1"),
        (
            {
                "sets": [
                    {"name": "t", "role": "labelled", "reader": {}, "validation": {"name": "u"}},
                    entry("u"),
                ]
            },
            "two sets are called 'u'",
        ),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        PrepareConfig.model_validate(config(**changes))
