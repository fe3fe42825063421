"""What ``landmarks help`` prints is read off the code: each key of each part is there, with what it means."""

from __future__ import annotations

import pytest

from pipeline.describe import describe, kinds, summaries
from pipeline.errors import ConfigError
from pipeline.registry import check_values, names

PARTS = [(kind, name) for kind in kinds() for name in names(kind)]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_key_of_every_part_says_what_it_means(kind, name):
    part = describe(kind, name)
    assert part.summary
    assert "\n" not in part.summary
    assert [key.name for key in part.parameters if not key.text] == []
    assert [key.name for key in part.parameters if key.type == "any"] == []
    needed = [key.name for key in part.parameters if key.default is None]
    # As the check of a config has it, which names the first that is missing.
    if needed:
        with pytest.raises(ConfigError, match=f"needs parameter '{needed[0]}'"):
            check_values(kind, name, {})
    else:
        assert list(check_values(kind, name, {})) == [key.name for key in part.parameters]


def test_types_defaults_and_texts_of_several_lines():
    keys = {key.name: key for key in describe("reader", "coco").parameters}
    assert list(keys)[:3] == ["path", "root", "markup"]
    assert keys["path"].default is None
    assert (keys["category"].type, keys["category"].default) == ("str | None", "None")
    assert keys["origin"].default == "'centre'"
    assert keys["origin"].text.startswith("Where (0, 0) lies: at the ``centre`` of the top-left pixel")
    assert keys["origin"].text.endswith("(CVAT, Label Studio).")
    # What the caller supplies is no key.
    assert "num_landmarks" not in {key.name for key in describe("model", "rcn").parameters}


def test_a_part_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "described_team").mkdir()
    (tmp_path / "described_team" / "rate.py").write_text(
        '''"""A rate that halves: every so often."""


class Halves:
    """Half as much.

    Args:
        steps: Of the run.
        every: Steps, of which
            there are many.
    """

    def __init__(self, steps: int, every: list[int]) -> None:
        """Nothing."""


SCHEDULE = Halves
'''
    )
    monkeypatch.syspath_prepend(tmp_path)
    part = describe("schedule", "described_team.rate")
    assert part.summary == "A rate that halves: every so often"
    (key,) = part.parameters
    assert (key.name, key.type, key.default, key.text) == (
        "every", "list[int]", None, "Steps, of which there are many.",
    )  # fmt: skip


def test_all_parts_of_a_kind():
    found = summaries("schedule")
    assert list(found) == names("schedule")
    assert found["cosine"] == "Half a cosine from the first rate to the last"
