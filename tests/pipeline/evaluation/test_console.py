"""The terminal's table: numbers, bold, and names that look like mark-up."""

from __future__ import annotations

import io
import re

from rich.console import Console

from pipeline.evaluation.console import headline_tables
from pipeline.evaluation.protocol import evaluate


def printed(tables, **options):
    console = Console(file=io.StringIO(), width=200, **options)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_numbers_and_names(tiny, predict, protocol):
    good = evaluate(predict(tiny, noise=1.0), tiny, protocol, run="[red]good[/red]")
    bad = evaluate(predict(tiny, noise=4.0, seed=1), tiny, protocol, run="bad", selected_on_test=True)
    text = printed(headline_tables([good, bad]))
    assert protocol.name in text
    assert "[red]good[/red]" in text
    assert "bad (selected on test)" in text
    for evaluation in (good, bad):
        assert f"{evaluation.headline.nme:.2f}" in text
        assert f"{evaluation.errors['diagonal'].nme:.2f}" in text
        assert f"{evaluation.headline.auc['10']:.2f}" in text
    styled = printed(headline_tables([good, bad]), force_terminal=True, color_system="standard")
    assert re.search(rf"\x1b\[1;32m *{good.headline.nme:.2f}", styled)
    assert not re.search(rf"\x1b\[1;32m *{bad.headline.nme:.2f}", styled)


def test_protocols_never_share_a_table_and_undefined_faces_are_told(tiny, predict, protocol):
    predictions = predict(tiny)
    predictions.mask_NK[:2, 0] = False
    ocular = evaluate(predictions, tiny, protocol, run="base")
    by_box = evaluate(predictions, tiny, protocol.model_copy(update={"normalisation": "box"}), run="base")
    tables = headline_tables([ocular, by_box])
    assert len(tables) == 2
    assert "2 of 12 faces have no defined NME" in printed(tables[:1])
    assert "no defined" not in printed(tables[1:])


def test_narrow_terminal_keeps_the_main_columns_whole(tiny, predict, protocol):
    evaluation = evaluate(predict(tiny, noise=1.0), tiny, protocol, run="demo-semi-supervised")
    console = Console(file=io.StringIO(), width=80)
    console.print(headline_tables([evaluation], 80)[0])
    text = console.file.getvalue()
    assert "…" not in text
    assert "demo-semi-supervised" in text
    assert f"{evaluation.headline.nme:.2f}" in text
    assert f"{evaluation.headline.auc['10']:.2f}" in text
    assert "NME diagonal" not in text


def test_uncertainty_is_told_only_where_it_is_stated(tiny, predict, protocol):
    plain = evaluate(predict(tiny), tiny, protocol, run="plain")
    stating = evaluate(predict(tiny, covariance=1.0, seed=1), tiny, protocol, run="[b]stating")
    assert len(headline_tables([plain])) == 1
    tables = headline_tables([plain, stating])
    assert len(tables) == 2
    text = printed(tables[1:])
    assert "[b]stating" in text
    assert "plain" not in text
    u, d = stating.uncertainty, stating.direction
    for value in (d.normal_nme, d.tangent_nme, d.bias_rate, u.by_landmark.pearson, u.coverage["90"], u.nll):
        assert f"{value:.2f}" in text
    narrow = Console(file=io.StringIO(), width=80)
    narrow.print(headline_tables([stating], 80)[1])
    text = narrow.file.getvalue()
    assert "…" not in text
    assert f"{u.coverage['90']:.2f}" in text
    assert "NLL" not in text
