"""A mapping says what it is worth."""

from __future__ import annotations

from pipeline.evaluation.mapped import MappingSummary


def test_the_sentence_names_the_way_and_the_floor():
    known = MappingSummary(
        what="predictions",
        links=("wflw98", "ibug68", "cofw29"),
        floors=(None, 2.1),
        measured=(None, "133 faces"),
    )
    assert known.sentence == (
        "predictions mapped from wflw98 to ibug68 to cofw29; a perfect model would be off by about 2.1 % (133 faces)"
    )
    unknown = MappingSummary(what="truth", links=("wflw98", "ibug68"), floors=(None,), measured=(None,))
    assert unknown.sentence.endswith("how far these markups differ on the same face was not measured")
