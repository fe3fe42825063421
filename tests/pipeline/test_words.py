"""One is one, and a line stays a line."""

import pytest

from pipeline.words import counted, on_one_line


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (0, ["face"], "0 faces"),
        (1, ["face"], "1 face"),
        (1234, ["face"], "1,234 faces"),
        (1, ["file is no image", "files are no images"], "1 file is no image"),
        (2, ["file is no image", "files are no images"], "2 files are no images"),
    ],
)
def test_counts(number, words, told):
    assert counted(number, *words) == told


def test_control_characters_are_spelt_out():
    assert on_one_line("plain, é and 顔") == "plain, é and 顔"
    assert on_one_line("a\nb\r\t\x1b\x85\u2028") == r"a\nb\r\t\x1b\x85\u2028"
    assert on_one_line("caf\udce9") == r"caf\udce9"  # of a file whose name is not UTF-8
