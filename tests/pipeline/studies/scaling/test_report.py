"""The page: self-contained, safe against names, the answer first."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.report import build_scaling_report, render_scaling_report

EVIL = "<script>alert(1)</script>\"'><img src=//evil.example onerror=x> $a_b$ [red]"


class Page(HTMLParser):
    """Tags in order, and whether every one is closed."""

    VOID = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def helped(cell):
    return {157: 11.0, 1808: 6.0}[cell.labelled] - (1.5 if cell.unlabelled else 0)


def test_a_full_page_answers_first_and_asks_for_nothing(tmp_path, study):
    analysis = analyse(
        study(helped, widths=(8, 16), provenance={"commit": "abc123", "hardware": {"cores": 2}})
    )
    out = tmp_path / "scale.html"
    build_scaling_report(analysis, str(out), title="A & B")
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    sources = [v for _, a in page.tags for n, v in a.items() if n in {"src", "srcset", "href"}]
    assert all(v.startswith(("data:image/svg+xml;base64,", "#")) for v in sources)
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    assert {v[1:] for v in sources if v.startswith("#")} <= anchors
    ids = [a["id"] for tag, a in page.tags if tag == "section"]
    assert ids[0] == "answer"
    for words in ("A &amp; B", "abc123", "width 16", "hardware.cores"):
        assert words in text
    assert re.sub(r"&#39;", "'", analysis.answer.headline) in text


def test_names_cannot_become_markup(study):
    page = Page(render_scaling_report(analyse(study(helped, methods=(EVIL,), protocol=EVIL)), title=EVIL))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)


@pytest.mark.parametrize(
    "size", [{"seeds": 1}, {"seeds": 2, "labelled": (157,), "unlabelled": (0, 5000)}, {"unlabelled": (0,)}]
)
def test_small_studies_render(study, size):
    Page(render_scaling_report(analyse(study(helped, **size))))


def test_nothing_lies_outside_of_a_phone_or_a_desk(study, nothing_outside):
    methods = ("a-method-of-a-name-that-does-not-end-" + 20 * "m", "LaplaceKL + D")
    nothing_outside(render_scaling_report(analyse(study(helped, methods=methods, widths=(8, 16)))))
