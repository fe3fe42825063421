"""The verbs that use a trained model, as the command line declares them; it adds them to its own."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.arguments import ModelArgument


def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="run folders, model folders, config YAMLs or models:/NAME@ALIAS"),
    ],
    data: Annotated[str | None, typer.Option(help="labelled set; default is the config's data.test")] = None,
    out: Annotated[
        str, typer.Option(help="folder for numbers, predictions and report.html")
    ] = "outputs/evaluation",
    title: Annotated[str | None, typer.Option(help="of the report")] = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="dotted override for configs")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Ray tasks at a time; 0 works in this process, as small sets do anyway", min=0),
    ] = None,
    normalisation: Annotated[
        str | None, typer.Option(help="size that errors are divided by: ocular, pupil, box or diagonal")
    ] = None,
    markup: Annotated[
        str | None,
        typer.Option(help="markup to measure in; default: the one with most landmarks in common"),
    ] = None,
    flip_test: Annotated[
        bool | None, typer.Option("--flip-test/--no-flip-test", help="average over the mirror image")
    ] = None,
    box_source: Annotated[
        str | None,
        typer.Option(help="detector, landmarks, box or image: a set cropped by another is refused"),
    ] = None,
    box_noise: Annotated[
        float | None, typer.Option(help="shift and scale each crop by up to this share, e.g. 0.05")
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            help="harder images, too: occlusion-medium, occlusion-large, blur-medium, blur-large; may be given again"
        ),
    ] = None,
) -> None:
    """Measure trained models and write one report that compares them."""
    from jobs.evaluate import evaluate as run

    settings = {
        "normalisation": normalisation,
        "markup": markup,
        "flip_test": flip_test,
        "box_source": box_source,
        "box_noise": box_noise,
        "perturbations": perturb or None,
    }
    run(runs, data=data, out=out, overrides=override or [], title=title, workers=workers, settings=settings)


def calibrate(
    model: ModelArgument,
    data: Annotated[
        str | None, typer.Option(help="labelled set, held out; default is the config's data.validation")
    ] = None,
) -> None:
    """Fit the temperature of a model's confidences to held-out faces; it is kept beside the weights."""
    from jobs.calibrate import calibrate as run

    run(model, data=data)


def predict(
    model: ModelArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT…", help="images, folders, patterns, URLs, videos, tars or prepared sets"
        ),
    ],
    out: Annotated[str, typer.Option(help="file (jsonl, csv, coco) or folder (pts, overlays, shards)")],
    to: Annotated[
        str | None,
        typer.Option(
            help="jsonl, csv, coco, pts, overlays, or shards (of prepared sets, for training); default: by the name of --out"
        ),
    ] = None,
    others: Annotated[
        list[str] | None, typer.Option("--with", help="another model of the ensemble; may be given again")
    ] = None,
    flip_test: Annotated[bool, typer.Option("--flip-test", help="average over the mirror image")] = False,
    workers: Annotated[
        int, typer.Option(help="Ray actors for prepared sets; 0 works in this process", min=0)
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    smooth: Annotated[
        float | None,
        typer.Option(help="smooth videos: acceleration of a landmark, face sides per s²; 30 is a start"),
    ] = None,
    max_reject_share: Annotated[
        float, typer.Option(help="share of unreadable images over which the run ends", min=0, max=1)
    ] = 0.1,
) -> None:
    """Landmarks, covariances and confidences of images, videos and prepared sets."""
    from jobs.predict import predict as run

    models = [model, *(others or [])]
    run(
        models,
        inputs,
        out=out,
        to=to,
        flip=flip_test,
        workers=workers,
        device=device,
        smooth=smooth,
        max_reject_share=max_reject_share,
    )


def export(
    model: ModelArgument,
    to: Annotated[str, typer.Option(help="onnx, or torch (a torch.export program, .pt2)")],
    out: Annotated[str | None, typer.Option(help="file; default: the run's name, here")] = None,
    data: Annotated[
        str | None, typer.Option(help="prepared set to compare on; default: faces drawn by the project")
    ] = None,
    faces: Annotated[int, typer.Option(help="compared", min=1)] = 64,
    max_difference: Annotated[
        float, typer.Option(help="px of the crop over which the export fails", min=0)
    ] = 0.01,
) -> None:
    """Write a model as one file, preprocessing and decoding inside, and compare it with the model on faces."""
    from jobs.export import export as run

    run(model, to=to, out=out, data=data, faces=faces, max_difference=max_difference)
