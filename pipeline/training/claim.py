"""Claiming a folder for a config: the first start records it; later ones must be of the same run, which may be made longer."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import ConfigError
from pipeline.shards.manifest import join
from pipeline.storage import names_in, remove, write_text
from pipeline.training.config.compose import differences, to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.stored import stored_config
from pipeline.training.identity import WHERE, Claim, known_by, read_claim, sets_of, write_claim
from pipeline.training.integrity import is_checkpoint
from pipeline.training.longer import LENGTH, check_longer
from pipeline.training.plan import Plan, planned_steps

FINISHED = "finished.json"
_KEPT = frozenset({"models", FINISHED})
_TRACES = ("mlflow.json", "trace", "quarantine.jsonl")


def claim(
    config: ExperimentConfig,
    folder: str,
    kind: str,
    where: frozenset[str],
    essence: Callable[[ExperimentConfig], ExperimentConfig] = lambda config: config,
) -> None:
    """Record the config of a search in its folder, or check that it is the recorded one.

    Args:
        config: Of it.
        folder: Of it.
        kind: What it is, for messages.
        where: Sections that may differ.
        essence: The config without what else may differ.

    Raises:
        ConfigError: The folder holds one of another config, or a damaged one.
    """
    before = stored_config(join(folder, "config.yaml"))
    sets, recorded = sets_of(config), read_claim(folder)
    if before is None:
        _record(config, folder, Claim(sets=sets, config_hashes=()))
        return
    old, new = _comparable(essence(before), essence(config), recorded, sets)
    if config_hash(old, where) != config_hash(new, where):
        raise _refusal(config, folder, kind, _changes(old, new, where))


def claim_run(config: ExperimentConfig, plan: Plan, folder: str) -> tuple[str, tuple[str, ...]]:
    """Claim a run's folder: record its config there, or check that it is the recorded run, which may go on for longer.

    Args:
        config: With absolute paths.
        plan: Of it.
        folder: Of the run.

    Returns:
        The run's config hash, and what there is to tell its user.

    Raises:
        ConfigError: The folder holds a run of another config, or one that cannot be made longer.
    """
    sets, recorded = sets_of(config), read_claim(folder)
    own = config_hash(known_by(config, sets), WHERE)
    before = stored_config(join(folder, "config.yaml"))
    if before is None:
        _record(config, folder, Claim(sets=sets, config_hashes=(own,)))
        return own, ()
    old, new = _comparable(before, config, recorded, sets)
    hashes = recorded.config_hashes if recorded is not None else (config_hash(before, WHERE),)
    if config_hash(old, WHERE) == config_hash(new, WHERE):
        if recorded is None or before.data != config.data:  # the root has moved, and its sets with it
            _record(config, folder, Claim(sets=sets, config_hashes=_with(hashes, own)))
        return own, ()
    changes = _changes(old, new, WHERE)
    if not _anything_kept(folder):
        for name in _TRACES:
            remove(join(folder, name))
        _record(config, folder, Claim(sets=sets, config_hashes=(own,)))
        return own, (
            f"run '{config.name}' had ended before its first checkpoint; it starts afresh with {'; '.join(changes[:3])}",
        )
    if not LENGTH.issuperset(change.split(":")[0] for change in changes):
        raise _refusal(config, folder, "run", changes)
    steps = planned_steps(before.training, plan.steps_per_epoch)
    check_longer(config, folder, steps, plan.steps)
    remove(join(folder, FINISHED))
    _record(config, folder, Claim(sets=sets, config_hashes=_with(hashes, own)))
    return own, (f"run '{config.name}' goes on, from {steps:,} to {plan.steps:,} steps",)


def _record(config: ExperimentConfig, folder: str, made: Claim) -> None:
    # The claim first: without a config beside it, it claims nothing.
    write_claim(folder, made)
    write_text(join(folder, "config.yaml"), to_yaml(config))


def _comparable(
    before: ExperimentConfig, config: ExperimentConfig, recorded: Claim | None, sets: dict[str, str]
) -> tuple[ExperimentConfig, ExperimentConfig]:
    """Both with their sets by content; by path, where the folder is older than claims."""
    if recorded is None:
        return before, config
    return known_by(before, recorded.sets), known_by(config, sets)


def _with(hashes: tuple[str, ...], own: str) -> tuple[str, ...]:
    return hashes if own in hashes else (*hashes, own)


def _anything_kept(folder: str) -> bool:
    """Whether a run has left something that cannot be had again in moments."""
    return any(name in _KEPT or is_checkpoint(name) for name in names_in(folder))


def _changes(old: ExperimentConfig, new: ExperimentConfig, where: frozenset[str]) -> list[str]:
    def only_where(key: str) -> bool:
        return any(key == place or key.startswith(f"{place}.") for place in where)

    return [change for change in differences(old, new) if not only_where(change.split(":")[0])]


def _refusal(config: ExperimentConfig, folder: str, kind: str, changes: list[str]) -> ConfigError:
    hint = (
        " (sha256 is a set's content: another set lies there than before)"
        if "sha256:" in str(changes)
        else ""
    )
    return ConfigError(
        f"{kind} '{config.name}' exists in {folder} with another config ({'; '.join(changes[:5])}){hint}: a resumed {kind} keeps "
        "its config; choose another name=…, or remove the folder to start afresh"
    )
