"""The page: the answer first and true, self-contained, safe against names, honest about what did not finish."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from pipeline.studies.search.compare import best, compare
from pipeline.studies.search.report import build_search_report, describe, render_search_report
from pipeline.studies.search.trials import Trial
from pipeline.training.config.tune import ParameterConfig

EVIL = "<script>alert(1)</script>\"'><img src=//evil.example onerror=x> $a_b$ [red]"


class Page(HTMLParser):
    """Collects what a browser would fetch or run, the visible text, and the rows of tables."""

    VOID = frozenset({"meta", "img", "source", "br", "link", "wbr"})

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
            if "tr" in self.open:
                self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def trials(self) -> list[list[str]]:
        head = next(i for i, row in enumerate(self.rows) if row[:2] == ["Trial", "State"])
        numbered = []
        for row in self.rows[head + 1 :]:
            if not row[0][:1].isdigit():
                break
            numbered.append(row)
        return numbered


@pytest.fixture(scope="module")
def written(tmp_path_factory, search_of):
    """A search of every kind of trial and its page."""
    made = search_of(60, failed=(7, 13, 22))
    out = tmp_path_factory.mktemp("report") / "report.html"
    build_search_report(
        made,
        str(out),
        best_yaml="name: best\nlr: 1\n",
        command="landmarks train x.yaml",
    )
    return made, out.read_text(encoding="utf-8")


def test_the_answer(written):
    made, html = written
    page = Page(html)
    found, winner = compare(made), best(made)
    assert f"{winner.objective:.3f}" in page.texts
    assert f"{found.default.objective:.3f}" in page.texts
    assert f"{found.gain:.3f}" in page.texts
    assert page.texts.index(f"{winner.objective:.3f}") < page.texts.index(
        "Charts", page.texts.index("Answer") + 9
    )
    for caution in found.cautions:
        assert caution in page.text
    for text in (
        "name: best lr: 1",
        "landmarks train x.yaml",
        "deadbeef",
        "300w-validation",
    ):
        assert text in page.text
    rate = next(row for row in page.rows if row[0] == "optimizer.lr")
    assert rate == ["optimizer.lr", f"{winner.values['optimizer.lr']:.4g}", "0.001", "1e-05 … 0.1, log"]
    assert "worker died: out of memory (trial 22)" in page.text
    assert "(trials 7, 13)" in page.text


def test_nothing_lies_outside_of_a_phone_or_a_desk(search_of, nothing_outside):
    made = search_of(12, failed=(7,), seeds=2)
    nothing_outside(
        render_search_report(made, best_yaml="key: " + 200 * "y", command="landmarks train " + 200 * "x")
    )


def test_all_trials_are_listed_finished_ones_first_by_objective(written):
    made, html = written
    rows = Page(html).trials()
    assert len(rows) == 60
    states = [row[1] for row in rows]
    assert states == ["finished"] * 8 + ["pruned"] * 49 + ["failed"] * 3
    shown = [float(row[2]) for row in rows[:8]]
    assert shown == sorted(shown)
    assert rows[0][0].split() == [str(best(made).number), "best"]
    assert sum("best" in row[0] for row in rows) == 1
    assert [row[0] for row in rows if "config's own" in row[0]] == ["0 config's own"]
    assert all("at step" in row[2] for row in rows[8:57])
    assert rows[-3][-1].startswith("non-finite loss at step 212")
    assert "Traceback …" in rows[-3][-1]  # the whole reason, folded


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"trials": 5, "failed": (0, 1, 2, 3, 4)},
            ["No trial finished", "worker died: out of memory (trials 0, 2, 4)"],
        ),
        ({"trials": 1}, ["Only the config's own values finished"]),
        ({"trials": 0}, ["No trial has finished yet", "0 of 1 trials"]),
        (
            {"trials": 6, "seed": 5, "failed": (3,)},
            ["No other trial that finished does better", "fewer than 10"],
        ),
        ({"trials": 8, "seeds": 3, "prune": False}, ["seed 2", "From seed to seed", "averaged over 3 seeds"]),
    ],
)
def test_small_and_unlucky_searches(search_of, options, words):
    made = search_of(**options)
    page = Page(render_search_report(made))
    for word in words:
        assert word in page.text
    if not made.of("finished"):
        assert "Best config" not in page.text
        assert "Gain over" not in page.text
        assert "points" not in {t.strip() for t in page.texts}


def test_a_default_that_failed_gets_no_gain(search_of):
    made = search_of(5, failed=(0,))
    page = Page(render_search_report(made))
    assert "Gain over them" not in page.text
    assert (
        "The config's own values (trial 0) are failed: worker died: out of memory: no gain is stated."
        in page.text
    )


def test_nothing_is_fetched_and_nothing_runs(written):
    _, html = written
    page = Page(html)
    allowed = re.compile(r"^(data:image/svg\+xml;base64,[A-Za-z0-9+/=]+|#[\w-]+)$")
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    sources = 0
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "srcset", "href", "poster", "data", "action"}:
                assert allowed.match(value)
                sources += 1
                if value.startswith("#"):
                    assert value[1:] in anchors
        if tag == "img":
            assert len(attributes["alt"]) > 40
    assert sources >= 12  # six images, six anchors
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|url\(|@import", html)
    for chart in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", html):
        drawn = base64.b64decode(chart).decode()
        assert "<script" not in drawn
        assert not re.search(r'href="(?!#)(?!data:image/png)', drawn)


def test_names_values_and_reasons_are_text_not_html(search_of):
    made = search_of(6, prune=False)
    key = "a." + EVIL
    space = {
        key: ParameterConfig(type="choice", values=(EVIL, "b")),
        "c": ParameterConfig(type="int", low=0, high=99),
    }
    trials = [
        t.model_copy(update={"values": {key: EVIL if t.number % 2 else "b", "c": t.number}, "name": EVIL})
        for t in made.trials
    ]
    trials.append(
        Trial(number=6, name=EVIL, values={key: EVIL, "c": 1}, state="failed", reason=f"{EVIL}\n{EVIL}")
    )
    changes = {
        "space": space,
        "default": {key: EVIL, "c": 0},
        "trials": tuple(trials),
        "name": EVIL,
        "validation": EVIL,
    }
    made = made.model_copy(update=changes | {"provenance": {EVIL: EVIL, "nested": {EVIL: [EVIL]}}})
    html = render_search_report(made, best_yaml=EVIL, command=EVIL)
    page = Page(html)
    assert "<script" not in html
    assert "evil.example" in page.text
    assert not any(tag == "script" or "onerror" in attributes for tag, attributes in page.tags)
    assert all((a.get("src") or "data:").startswith("data:") for _, a in page.tags)


def test_the_same_search_is_the_same_bytes(search_of):
    assert render_search_report(search_of(6)) == render_search_report(search_of(6))


def test_parameters_in_words():
    assert describe(ParameterConfig(type="float", low=1e-5, high=0.1, log=True)) == "1e-05 … 0.1, log"
    assert describe(ParameterConfig(type="int", low=0, high=8, step=2)) == "0 … 8, whole, in steps of 2"
    assert describe(ParameterConfig(type="choice", values=(None, True, "a", 0.5))) == "null, true, a, 0.5"
