"""Progress without a terminal: plain lines, the last one complete."""

from __future__ import annotations

from jobs.cluster.progress import progress


def test_plain_lines(capsys):
    with progress("prepare train", 10, done=4) as advance:
        for _ in range(6):
            advance(1, "2 left out")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # quick work is not worth more than its end
    assert lines[0].startswith("prepare train: 10/10 images, ")
    assert lines[0].endswith(" s left, 2 left out")


def test_slow_work_is_reported_on_the_way(capsys, monkeypatch):
    import jobs.cluster.progress as module

    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress("verify", 3, unit="samples") as advance:
        for _ in range(3):
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"verify: {n}/3 samples" for n in (1, 2, 3)]
