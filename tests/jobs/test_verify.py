"""The command's output and exit code."""

from __future__ import annotations

import shutil

from jobs.verify import verify


def test_sound_set(toy_sets, capsys):
    assert verify([str(toy_sets["train"])], streams=4) == 0
    captured = capsys.readouterr()
    assert "labelled, train, 60 samples, 4 shard(s)" in captured.out
    assert "ok (0 warnings)" in captured.out
    assert "verify: 60/60 samples" in captured.err


def test_spoilt_set(toy_sets, tmp_path, capsys):
    folder = shutil.copytree(toy_sets["train"], tmp_path / "train")
    (folder / "shard-000000.tar").unlink()
    assert verify([str(folder), str(tmp_path / "nowhere")]) == 1
    out = capsys.readouterr().out
    assert "shard-000000.tar: no such shard, though the manifest lists it; copy it again" in out
    assert "nowhere/manifest.json: no such manifest" in out
    assert "2 errors" in out
