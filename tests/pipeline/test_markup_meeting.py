"""Models and sets of different markups meet where most landmarks are common."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup
from pipeline.markup_meeting import meet

W, I, C, A, M = (load_markup(name) for name in ("wflw98", "ibug68", "cofw29", "aflw19", "mtfl5"))


@pytest.mark.parametrize(
    ("models", "data", "where", "count"),
    [
        ([I], M, "mtfl5", 5),
        ([I], A, "aflw19", 19),
        ([I], C, "cofw29", 25),  # 300-W has no lower edges of the brows
        # The four protocols across data sets of Yan et al., section 4:
        ([C], A, "aflw19", 19),  # COFW → AFLW
        ([I], I, "ibug68", 68),  # 300W → 300VW
        ([I], W, "ibug68", 68),  # 300W → WFLW
        ([W], I, "ibug68", 68),  # WFLW → 300VW
        # Table 11: what a dense, a common and a sparse markup have on WFLW.
        ([W, I, A], W, "aflw19", 19),
        ([W, I], W, "ibug68", 68),
    ],
)
def test_where_they_meet(models, data, where, count):
    meeting = meet(models, data)
    assert (meeting.markup.name, int(meeting.common_T.sum())) == (where, count)
    assert meeting.labelled.source.name == data.name
    assert [mapping.source.name for mapping in meeting.predicted] == [m.name for m in models]
    assert meeting.plain == all(m is data for m in models)


def test_seventeen_landmarks_are_common_without_the_pupils():
    """Yan et al., table 11: "the 17 landmark format is similar to the AFLW annotation (except the eye centers)"."""
    groups = tuple(() if k in (7, 10) else ((k,)) for k in range(19))
    seventeen = Markup("aflw17", 19, (), (), ocular=(6, 11), mappings=(("aflw19", groups),))
    meeting = meet([W, I, seventeen], W, A)
    assert int(meeting.common_T.sum()) == 17
    assert np.flatnonzero(~meeting.common_T).tolist() == [7, 10]


def test_a_markup_may_be_asked_for():
    assert meet([I], I, M).markup.name == "mtfl5"
    assert not meet([I], I, M).plain
    with pytest.raises(
        ConfigError,
        match=r"'ibug68' cannot be measured in 'wflw98', with no landmark in common: markup 'ibug68' maps to",
    ):
        meet([I], I, W)


def test_strangers_are_refused():
    cat = Markup("cat", 9, (), ())
    with pytest.raises(
        ConfigError, match=r"'ibug68', 'cat' cannot be measured in any markup, with no landmark in common"
    ):
        meet([cat], I)
    with pytest.raises(
        ConfigError, match="two markups are called 'ibug68', of 70 and of 68 landmarks; rename one"
    ):
        meet([Markup("ibug68", 70, (), ())], I, I)
