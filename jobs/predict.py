"""``landmarks predict``: landmarks of images, videos and prepared sets, in the format that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from jobs.cluster.faces import predict_set
from jobs.cluster.labelling import label_sets
from jobs.cluster.progress import progress
from pipeline.inference.predictor import Predictor
from pipeline.inference.run import count, predict_all, write_all
from pipeline.inference.sources import find_sources
from pipeline.inference.trained import find_trained
from pipeline.inference.writers import find_writer, format_of
from pipeline.storage import absolute
from pipeline.words import counted


def predict(
    arguments: Sequence[str],
    inputs: Sequence[str],
    *,
    out: str,
    to: str | None = None,
    flip: bool = False,
    workers: int = 0,
    device: str = "cpu",
    smooth: float | None = None,
    max_reject_share: float = 0.1,
    console: Console | None = None,
) -> None:
    """Predict everything and write it.

    Args:
        arguments: Models; several are an ensemble.
        inputs: See ``find_sources``.
        out: File, or folder, as the format has it.
        to: ``shards``, or a format of ``pipeline.inference.writers``; None goes by the name of ``out``.
        flip: Average over the mirror image.
        workers: Ray actors for prepared sets; 0 works in this process.
        device: Where to compute.
        smooth: See ``pipeline.inference.smooth``; None smooths nothing.
        max_reject_share: Share of unreadable images over which the run ends.
        console: Where to print.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    console, out = console or Console(), absolute(out)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    models, sources = [find_trained(argument).folder for argument in arguments], find_sources(inputs)
    for remark in sources.remarks:
        say(remark, style="yellow")
    if to == "shards":
        made = label_sets(models, sources, out, flip, max_reject_share, device=device, workers=workers)
        say(f"{counted(made.samples, 'face')} labelled → {out}")
        return
    writer, predictor = find_writer(to or format_of(out)), Predictor(models, flip=flip, device=device)
    if predictor.uncalibrated is not None:
        say(f"confidences are not calibrated: {predictor.uncalibrated}", style="yellow")
    on_set = partial(predict_set, predictor, models, device=device, workers=workers)
    results, total = predict_all(predictor, sources, on_set, smooth), count(sources)
    with progress("predict", total) as advance:
        outcome = write_all(results, writer, out, predictor.markup, total, max_reject_share, advance)
    say(f"{outcome} → {out}")


if __name__ == "__main__":
    from jobs.cli import main

    main("predict")
