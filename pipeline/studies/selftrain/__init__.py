"""Self-training in rounds: what each stage trains on, when to stop, and one report of error by round.

Source: Jin et al., "Rethinking Self-training for Semi-supervised Landmark Detection: A Selection-free Approach" (STLD), IEEE TIP
2024, arXiv 2404.04556. A round: the last model labels every unlabelled face; a fresh generator is pretrained on these
pseudo-labels alone, and fine-tuned on the labels. Later rounds fine-tune on pseudo-labels, too, by shrink regression
(:mod:`pipeline.training.shrink`), coarse at first. No pseudo-label is selected by confidence.

Deviations: the held-out faces stop the rounds, where the paper trains five; a round's generator has a seed of its own.
"""

from pipeline.studies.selftrain.outcome import RoundOutcome, best_round, goes_on
from pipeline.studies.selftrain.report import build_selftrain_report
from pipeline.studies.selftrain.stages import (
    check_selftrain,
    finetune_config,
    pretrain_config,
    study_folder,
    teacher_config,
)

__all__ = [
    "RoundOutcome",
    "best_round",
    "build_selftrain_report",
    "check_selftrain",
    "finetune_config",
    "goes_on",
    "pretrain_config",
    "study_folder",
    "teacher_config",
]
