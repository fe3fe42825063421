"""``landmarks selftrain``: rounds of label → pretrain → fine-tune, every stage a run of its own; the same command resumes."""

from __future__ import annotations

import os
from functools import partial

from rich.console import Console

from jobs.tables import facts
from pipeline.ownership import owned
from pipeline.plain import flatten
from pipeline.shards.manifest import join
from pipeline.storage import write_text
from pipeline.studies.selftrain import (
    RoundOutcome,
    check_selftrain,
    goes_on,
    study_folder,
    teacher_config,
)
from pipeline.training.config.compose import to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE
from pipeline.training.plan import Plan, make_plan
from pipeline.training.run import RENAME, with_absolute_paths
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import check_store
from pipeline.training.unlabelled_faces import UnlabelledFaces, open_unlabelled
from pipeline.words import counted


def selftrain(
    config: ExperimentConfig, *, dry_run: bool = False, console: Console | None = None
) -> list[RoundOutcome]:
    """Train round 0, then round after round until the held-out faces stop gaining.

    Args:
        config: The experiment, with a section ``selftrain``.
        dry_run: Print the rounds and stop.
        console: Where to print.

    Returns:
        The rounds; none after a dry run.

    Raises:
        LandmarkError: Anything a user can act on; the same command goes on from there.
    """
    console = console or Console()
    check_selftrain(config)
    config = with_absolute_paths(config)
    teacher = make_plan(teacher_config(config))
    faces = open_unlabelled(config.data, teacher.train)
    _describe(config, teacher, faces, console)
    if dry_run:
        return []
    check_store(config.tracking)
    with owned(study_folder(config), f"study '{config.name}'", RENAME, partial(console.print, markup=False)):
        return _selftrain(config, teacher, faces, console)


def _selftrain(
    config: ExperimentConfig, teacher: Plan, faces: UnlabelledFaces, console: Console
) -> list[RoundOutcome]:
    from jobs.cluster.session import ray_session
    from jobs.rounds import Rounds

    section, folder = check_selftrain(config), study_folder(config)
    write_text(join(folder, "config.yaml"), to_yaml(config))
    parent = Tracker(
        config.tracking,
        config.name,
        folder,
        flatten(section.model_dump(mode="json"), "selftrain."),
        {"landmarks.verb": "selftrain", "landmarks.config_hash": config_hash(config, WHERE - {"selftrain"})},
    )
    rounds, cluster = Rounds(config, teacher, faces, parent, console), config.cluster
    with parent.ending():
        with ray_session(cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1)):
            rounds.train_round_0()
            while goes_on(rounds.outcomes, section.rounds, section.min_gain):
                rounds.train_round(len(rounds.outcomes))
        rounds.hand_on()
    return rounds.outcomes


def _describe(config: ExperimentConfig, teacher: Plan, faces: UnlabelledFaces, console: Console) -> None:
    section = check_selftrain(config)
    finetune = section.finetune_steps or teacher.steps
    shrink = "never"
    if section.shrink is not None:
        shrink = (
            f"from round {section.shrink.from_round}: {section.shrink.share:.0%} of each batch, within "
            f"{section.shrink.coarse.radius * config.input_size:.1f} px at first"
        )
    rows = {
        "study": study_folder(config),
        "labelled": f"{teacher.labelled:,} of {teacher.train.samples:,} faces of {config.data.train}",
        "unlabelled": f"{len(faces.chosen):,} faces of {faces.sets.title}",
        "round 0": counted(teacher.steps, "step"),
        "rounds": f"at most {section.rounds}, each {section.pretrain_steps:,} + {finetune:,} steps",
        "shrink regression": shrink,
    }
    console.print(facts(rows))


if __name__ == "__main__":
    from jobs.cli import main

    main("selftrain")
