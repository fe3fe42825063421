"""``python -m jobs.VERB …`` is ``landmarks VERB …``, for every verb there is."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import typer
import yaml

from jobs.cli import app, main, parse
from pipeline.errors import ConfigError

MODULES = {"jobs": "submitted"}
"""Verbs whose module has another name."""


def verbs() -> list[str]:
    return sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def ended(run, arguments: list[str], monkeypatch, capsys) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as end:
        run()
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def script(verb: str) -> None:
    # As ``python -m``: a fresh __main__, though the module may have been imported already.
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in sys.modules if n.startswith(f"jobs.{MODULES.get(verb, verb)}")]:
            # Importing it anew also rebinds its name in the package: ``import jobs.prepare as m`` reads that.
            package, _, child = name.rpartition(".")
            if package in sys.modules:
                patch.setattr(sys.modules[package], child, sys.modules[name])
            patch.delitem(sys.modules, name)
        runpy.run_module(f"jobs.{MODULES.get(verb, verb)}", run_name="__main__", alter_sys=True)


def test_a_shell_completes_verbs(monkeypatch, capsys):
    for name, value in {
        "_LANDMARKS_COMPLETE": "complete_bash",
        "COMP_WORDS": "landmarks pre",
        "COMP_CWORD": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert ended(main, [], monkeypatch, capsys)[:2] == (0, "prepare\npredict\n")


def test_all_verbs_are_seen():
    assert {"prepare", "train", "evaluate", "submit", "jobs", "bench"} <= set(verbs())


@pytest.mark.parametrize("verb", verbs())
def test_a_module_says_of_itself_what_the_verb_says(verb, monkeypatch, capsys):
    expected = ended(main, [verb, "--help"], monkeypatch, capsys)
    assert expected[0] == 0
    assert f"landmarks {verb}" in expected[1]
    assert ended(lambda: script(verb), ["--help"], monkeypatch, capsys) == expected


def test_a_module_does_what_the_verb_does(toy_experiment, tmp_path: Path, monkeypatch, capsys):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy_experiment))
    # Both get as far as a key that is wrong, and say so as a user reads it.
    for verb in ("train", "prepare", "tune", "scale"):
        expected = ended(main, [verb, str(path), "training.stepz=3"], monkeypatch, capsys)
        assert expected[0] == 2
        assert "unknown key 'training.stepz': did you mean 'steps'?" in expected[2]
        assert (
            ended(lambda v=verb: script(v), [str(path), "training.stepz=3"], monkeypatch, capsys) == expected
        )


def test_modules_are_afterwards_what_they_were(monkeypatch, capsys):
    import jobs.prepare

    before = jobs.prepare
    ended(lambda: script("prepare"), ["--help"], monkeypatch, capsys)
    import jobs.prepare as after

    assert after is before is sys.modules["jobs.prepare"]


def test_a_command_is_parsed_without_being_run():
    parameters = parse("train", ["toy.yaml", "seed=1", "--dry-run"])
    assert parameters == {"config": "toy.yaml", "overrides": ["seed=1"], "dry_run": True}
    with pytest.raises(ConfigError, match="landmarks train: No such option: --fast"):
        parse("train", ["toy.yaml", "--fast"])
