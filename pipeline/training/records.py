"""The records a run leaves beside its checkpoints: models, the list of bad samples, the exact trace."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.object_store import put_object
from pipeline.shards.identity import SetIdentity
from pipeline.shards.manifest import join
from pipeline.storage import is_local, local_path, read_text, write_text
from pipeline.training.checkpoint import RunState
from pipeline.training.plan import Plan
from pipeline.training.validate import Validation


def export_model(
    run_folder: str,
    which: str,
    plan: Plan,
    state: RunState,
    weights: dict[str, Tensor],
    parameters: int,
    validation: Validation | None,
) -> None:
    """Write ``models/WHICH`` of a run: weights and what is needed to use them.

    Args:
        run_folder: Of the run.
        which: ``best`` or ``last``.
        plan: Of the run.
        state: Where it stands.
        weights: State dict of the generator, averaged if the run averages.
        parameters: Trainable ones.
        validation: Of this model on the held-out split, if it was measured.
    """
    config = plan.config
    description = ModelDescription(
        name=config.name,
        model=config.model,
        loss=config.loss,
        method=config.method,
        decoder=config.decoder,
        markup=plan.markup.name,
        markup_definition=plan.train.markup_definition,
        num_landmarks=plan.train.num_landmarks,
        input_size=config.input_size,
        crop=plan.train.crop,
        step=state.step,
        averaged=config.training.ema_decay > 0,
        parameters=parameters,
        config_hash=state.config_hash,
        seed=config.seed,
        validation=validation.metrics if validation else {},
        residual_covariance=None if validation is None else validation.residual_covariance(),
        selected_on=SetIdentity.of(plan.validation) if which == "best" and plan.validation else None,
        trained_on=tuple(map(SetIdentity.of, (plan.train, *plan.extra))),
        extra={
            "selected": which,
            "labelled_seen": state.labelled_position + sum(state.extra_positions),
            "unlabelled_seen": state.unlabelled_position,
        },
    )
    save_model(join(run_folder, f"models/{which}"), description, weights)


def write_bad_samples(run_folder: str, bad: dict[str, str]) -> None:
    """Write ``quarantine.jsonl``: key and reason of every sample that could not be used."""
    lines = (json.dumps({"key": k, "reason": r}, ensure_ascii=False) for k, r in sorted(bad.items()))
    write_text(join(run_folder, "quarantine.jsonl"), "".join(f"{line}\n" for line in lines))


class Trace:
    """Every step's sample keys and exact losses, one JSON line each; for comparing runs to the bit.

    Nothing can be added to an object: of a run in a store, the trace is kept beside the process, and sent whole by ``keep``. What
    a killed process had not sent are steps after its last checkpoint, which are made again.

    Args:
        run_folder: Of the run; local path or URL.
        rank: Each rank writes a file of its own.
    """

    def __init__(self, run_folder: str, rank: int) -> None:
        self._url = join(run_folder, f"trace/rank{rank}.jsonl")
        self._held: tempfile.TemporaryDirectory[str] | None = None
        path = local_path(self._url)
        if not is_local(run_folder):
            self._held = tempfile.TemporaryDirectory(prefix="trace-")
            path = Path(self._held.name) / path.name
            path.write_text(read_text(self._url) or "", encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, keys: Iterable[str], metrics: dict[str, Tensor]) -> None:
        """Add a step; floats in hexadecimal, which is exact."""
        exact = {name: float(value).hex() for name, value in metrics.items()}
        self._file.write(json.dumps({"step": step, "keys": list(keys), "metrics": exact}) + "\n")
        self._file.flush()

    def keep(self) -> None:
        """What has been written lies in the run's folder: before each checkpoint, which is what a killed run goes on from.

        Raises:
            StorageError: The store stays away, or refuses.
        """
        if self._held is not None:
            put_object(self._file.name, self._url)

    def close(self) -> None:
        """Close the file.

        Raises:
            StorageError: As ``keep``.
        """
        self._file.close()
        if self._held is not None:
            with self._held:
                self.keep()
