"""The report holds its numbers and its chart, and nothing that runs or fetches."""

from pipeline.studies.selftrain import RoundOutcome, build_selftrain_report


def test_report(tmp_path):
    rounds = [
        RoundOutcome(0, 8.125, None, None, False, 100, 60.0, "a"),
        RoundOutcome(1, 6.5, 9.75, 1234, False, 300, 90.0, "b"),
    ]
    out = tmp_path / "report.html"
    facts = {"seed": 3, "versions": {"torch": "2"}}
    build_selftrain_report(rounds, str(out), name="<few>", ended="1 of at most 3 rounds", facts=facts)
    page = out.read_text()
    for text in ("8.125", "6.500", "9.750", "1,234", "+20.0", "20.0", "400 steps", "&lt;few&gt;", "versions"):
        assert text in page, text
    assert page.count("data:image/svg+xml") == 2  # one chart in two themes
    assert "<script" not in page
    assert page.index('badge">handed on') > page.index("8.125")


def test_nothing_lies_outside_of_a_phone_or_a_desk(tmp_path, nothing_outside):
    rounds = [
        RoundOutcome(0, 8.125, None, None, False, 100, 60.0, "a"),
        RoundOutcome(1, 6.5, 9.75, 1_234_567, True, 300, 90.0, "b"),
    ]
    out = tmp_path / "report.html"
    facts = {"a_fact_of_a_long_name": 80 * "x"}
    build_selftrain_report(rounds, str(out), name=60 * "n", ended=80 * "e", facts=facts)
    nothing_outside(out.read_text())
