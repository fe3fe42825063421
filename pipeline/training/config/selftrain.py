"""The ``selftrain`` section: self-training in rounds.

Source: Jin et al., "Rethinking Self-training for Semi-supervised Landmark Detection: A Selection-free Approach" (STLD), IEEE TIP
2024, arXiv 2404.04556. No pseudo-label is selected: what keeps a wrong one from doing harm is the order of tasks, see
:mod:`pipeline.studies.selftrain`.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.strict import Strict
from pipeline.training.config.data import ShrinkConfig


class ShrinkRounds(Strict):
    """Shrink regression: fine-tuning sees pseudo-labels beside labels, coarse at first and exact later."""

    from_round: int = Field(
        2, ge=1, description="first round with it; in earlier ones labels alone fine-tune"
    )
    share: float = Field(0.5, gt=0, lt=1, description="of each batch, faces with pseudo-labels")
    coarse: ShrinkConfig = Field(ShrinkConfig(), description="how coarse, and how long")


class SelftrainConfig(Strict):
    """Rounds of: predict the unlabelled faces, pretrain a fresh generator on that alone, fine-tune it on the labels.

    Round 0 is the config's own training; fine-tuning is the config's training, too, but for what is set here.
    """

    rounds: int = Field(3, ge=1, description="at most; the paper takes five")
    pretrain_steps: int = Field(
        ge=1, description="optimizer steps on pseudo-labels; as many as pay, they are cheap labels"
    )
    pretrain_lr: float | None = Field(None, gt=0, description="null: optimizer.lr")
    finetune_steps: int | None = Field(None, ge=1, description="null: as long as round 0")
    finetune_lr: float | None = Field(
        None, gt=0, description="null: optimizer.lr; a lower rate keeps more of the pretraining"
    )
    shrink: ShrinkRounds | None = Field(
        ShrinkRounds(), description="null: labels alone fine-tune in every round"
    )
    flip: bool = Field(True, description="pseudo-labels are averaged over an image and its mirror image")
    min_gain: float = Field(
        0.5,
        ge=0,
        lt=100,
        description="% of the lowest held-out NME so far that a round must take off it for the next to start",
    )
    storage: str = Field("outputs/selftrain", description="everything lives in storage/name")
