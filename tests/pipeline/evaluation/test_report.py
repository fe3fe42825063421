"""The report: complete, self-contained, safe against names, honest about protocols."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report import ReferenceRow, RunReport, build_report, render_report

EVIL = "<script>alert(1)</script>\"'><img src=//evil.example onerror=x> $a_b$ [red]"


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and the visible text."""

    VOID = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.bold: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
            last = [(tag, a) for tag, a in self.tags if tag in {"td", "th"}]
            if last and self.open[-1] == "td" and "best" in (last[-1][1].get("class") or ""):
                self.bold.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def make_run(tiny, predict, protocol):
    def build(name, *, noise=2.0, seed=0, change=None, selected_on_test=False, **options):
        predictions = predict(tiny, noise=noise, seed=seed, faces=8)
        under = protocol.model_copy(update=change or {})
        facts = {"seed": seed, "versions": {"numpy": "2.4"}, "hardware": {"gpus": []}}
        evaluation = evaluate(
            predictions, tiny, under, run=name, provenance=facts, selected_on_test=selected_on_test
        )
        return RunReport(name, evaluation, predictions, markup=tiny, **options)

    return build


# Drawing a page's charts takes seconds: what two tests read is drawn once.
@pytest.fixture(scope="module")
def of_one(make_run):
    """The page of run a."""
    return render_report([make_run("a")])


@pytest.fixture(scope="module")
def of_two(make_run):
    """The page of runs a and b, which differ in their seed."""
    return render_report([make_run("a"), make_run("b", seed=1)])


def test_a_full_report(tmp_path, make_run):
    curves = {"loss": ([0.0, 1.0], [2.0, 1.0])}
    panel = [("face-003", Image.new("RGB", (60, 20), (9, 9, 9)))]
    runs = [
        make_run("base", noise=3.0, curves=curves, parameters=39800, steps=4000, images=2009),
        make_run("with D", noise=1.0, seed=1, curves=curves, parameters=39801, heatmap_panels=panel),
    ]
    out = tmp_path / "report.html"
    rows = [ReferenceRow("LaplaceKL, table 3", {"ocular": 4.39, "scatter": 1.02}, "full set, 3,148 faces")]
    build_report(runs, str(out), title="A & B", notes=["Less is <more>."], reference_rows=rows)
    page = Page(out.read_text(encoding="utf-8"))
    for run in runs:
        e = run.evaluation
        numbers = [e.errors[n].nme for n in ("ocular", "pupil", "box", "diagonal")]
        numbers += [e.headline.failure_rate[t] for t in ("8", "10")] + [
            e.headline.auc[t] for t in ("7", "8", "10")
        ]
        numbers += [e.scatter.grid_px]
        for number in numbers:
            assert f"{number:.2f}" in page.texts
        for curve in e.per_landmark.curves.values():
            assert f"{curve.percent:.2f} % · {curve.px:.2f} px" in page.texts
        assert run.name in page.text
    for text in (
        "39,800",
        "4,000",
        "2,009",
        "4.39",
        "1.02",
        "full set, 3,148 faces",
        "A & B",
        "Less is <more>.",
        "face-003",
    ):
        assert text in page.text
    assert f"{runs[1].evaluation.headline.nme:.2f}" in page.bold
    assert f"{runs[0].evaluation.headline.nme:.2f}" not in page.bold
    assert "4.39" not in page.bold  # a published number never competes
    assert "39,800" not in page.bold
    assert page.text.count(runs[0].evaluation.protocol.name) >= 3  # heading, headline table, contour table
    captions = [t for t in page.texts if runs[0].evaluation.protocol.name + ". " in t]
    assert len(captions) == 2


def test_nothing_is_fetched_and_nothing_runs(of_two):
    page = Page(of_two)
    allowed = re.compile(r"^(data:image/(jpeg|svg\+xml);base64,[A-Za-z0-9+/=]+|#[\w-]+)$")
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
            assert len(attributes["alt"]) > 20
    assert sources > 20
    assert "http:" not in of_two
    assert "https:" not in of_two
    assert "default-src 'none'" in of_two
    assert not re.search(r"url\(|@import", of_two)


def test_images_inside_fetch_nothing_either(of_one):
    found = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", of_one)
    charts = [base64.b64decode(c).decode() for c in found]
    assert len(charts) == 2 * 8  # eight charts, light and dark
    for chart in charts:
        assert "<script" not in chart
        assert not re.search(r'href="(?!#)(?!data:image/png)', chart)


LONG = "a-run-whose-name-somebody-made-very-long-and-then-went-on"


def test_nothing_lies_outside_of_a_phone_or_a_desk(make_run, nothing_outside):
    panel = [("face-003", Image.new("RGB", (732, 240), (9, 9, 9)))]
    curves = {"loss": ([0.0, 1.0], [2.0, 1.0]), "validation NME, %": ([0.0, 1.0], [2.0, 1.0])}
    runs = [make_run(LONG + str(i), seed=i, curves=curves, heatmap_panels=panel) for i in range(5)]
    rows = [ReferenceRow(40 * "y", {"ocular": 4.39}, 80 * "z")]
    nothing_outside(render_report(runs, title=50 * "t", notes=[80 * "n"], reference_rows=rows))


def test_a_page_that_does_not_fit_is_found(of_one, nothing_outside):
    wide = of_one.replace("</main>", '<div style="width:2000px">x</div></main>')
    with pytest.raises(AssertionError, match="ends at 20"):
        nothing_outside(wide)


def test_names_are_text_not_html(tmp_path, make_run):
    run = make_run(EVIL, heatmap_panels=[(EVIL, Image.new("RGB", (9, 9)))], curves={EVIL: ([0.0], [1.0])})
    keys = np.array([EVIL + str(i) for i in range(8)])
    predictions = dataclasses.replace(run.predictions, keys=keys)
    facts = {EVIL: EVIL, "nested": {EVIL: [EVIL]}}
    evaluation = run.evaluation.model_copy(update={"provenance": facts, "protocol_name": EVIL})
    run = dataclasses.replace(run, predictions=predictions, evaluation=evaluation)
    html = render_report(
        [run], title=EVIL, notes=[EVIL], reference_rows=[ReferenceRow(EVIL, {"ocular": 1.0}, EVIL)]
    )
    page = Page(html)
    assert "<script" not in html
    assert "evil.example" in page.text
    assert not any(tag == "script" or "onerror" in attributes for tag, attributes in page.tags)
    assert all((a.get("src") or "data:").startswith("data:") for _, a in page.tags)


def test_protocols_are_kept_apart(make_run):
    # The worse run under the other protocol must not lose its bold to, or be coloured by, the better one.
    runs = [
        make_run("a", noise=1.0),
        make_run("b", noise=2.0, seed=1, change={"flip_test": True}),
        make_run("c", noise=4.3, seed=2, change={"flip_test": True}),
    ]
    page = Page(render_report(runs))
    assert "2 protocols" in page.text
    assert f"{runs[0].evaluation.headline.nme:.2f}" not in page.bold  # alone in its table
    assert f"{runs[1].evaluation.headline.nme:.2f}" in page.bold
    assert f"{runs[2].evaluation.headline.nme:.2f}" not in page.bold


def test_reference_rows_stay_with_their_data_set(make_run):
    rows = [
        ReferenceRow("theirs", {"ocular": 1.0}, "x", dataset="wflw"),
        ReferenceRow("any", {"ocular": 2.0}, "y"),
    ]
    text = Page(render_report([make_run("a")], reference_rows=rows)).text
    assert "theirs" not in text
    assert "any" in text


def test_warnings(make_run, of_two):
    chosen = make_run("a", selected_on_test=True)
    masked = make_run("b", seed=1)
    masked.predictions.mask_NK[:3, 0] = False
    evaluation = evaluate(masked.predictions, masked.layout, masked.evaluation.protocol, run="b")
    masked = dataclasses.replace(masked, evaluation=evaluation)
    other = make_run("c", seed=2)
    keys = np.array([f"other-{i}" for i in range(8)])
    other = dataclasses.replace(other, predictions=dataclasses.replace(other.predictions, keys=keys))
    text = Page(render_report([chosen, masked, other])).text
    assert "a: its checkpoint was selected on this very set" in text
    assert "selected on test" in text
    assert "b: 3 of 8 faces have no defined ocular NME" in text
    assert "not evaluated on the same faces" in text
    clean = Page(of_two).text
    assert "not evaluated on the same faces" not in clean
    assert "selected on test" not in clean


def test_provenance_marks_what_differs(of_two):
    rows = re.findall(r"<tr( class=\"differs\")?><th scope=\"row\">([\w.]+)</th>", of_two)
    differs = {name: bool(mark) for mark, name in rows}
    assert differs["seed"]
    assert not differs["versions.numpy"]
    assert not differs["hardware.gpus"]


def test_runs_without_heatmaps_or_images(make_run, tiny, protocol):
    run = make_run("a")
    plain = dataclasses.replace(run.predictions, scatter_NK=None, images_NSS3=None, crops_N3=None)
    run = dataclasses.replace(run, predictions=plain, evaluation=evaluate(plain, tiny, protocol, run="a"))
    page = Page(render_report([run]))
    columns = [a for tag, a in page.tags if tag == "th" and a.get("scope") == "col"]
    assert columns
    assert "#faces-1" not in {a.get("href") for _, a in page.tags}
    assert "face-00" not in page.text


def test_a_failed_report_leaves_the_old_one(tmp_path, make_run):
    out = tmp_path / "report.html"
    out.write_text("old")
    with pytest.raises(DataError):
        build_report([make_run("a"), make_run("a")], str(out))
    assert out.read_text() == "old"


def test_the_same_runs_are_the_same_bytes(make_run, of_one):
    assert render_report([make_run("a")]) == of_one
