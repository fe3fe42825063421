"""``landmarks bench``: the commands. Starts fast; each imports what it measures when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.arguments import ConfigArgument, Overrides

bench = typer.Typer(help="Measure speed and memory, ratios side by side in one run.", no_args_is_help=True)


@bench.command("train")
def bench_train(
    config: ConfigArgument,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(help="timed steps", min=1)] = 60,
    rounds: Annotated[int, typer.Option(help="times each side is measured, in turn", min=1)] = 3,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """One Ray Train worker with DeepSpeed against a plain PyTorch loop, same recipe, same threads."""
    from jobs.bench.train import bench as run
    from jobs.settings import experiment

    run(experiment(config, overrides or []), steps=steps, rounds=rounds, out=out)


@bench.command("start")
def bench_start(
    config: ConfigArgument,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(help="of the training", min=1)] = 12,
    rounds: Annotated[int, typer.Option(help="times each command is run, in turn", min=1)] = 3,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """What a start costs: CPU seconds over all processes, of --help, a dry run and a training of a few steps."""
    from jobs.bench.start import bench as run
    from jobs.settings import experiment

    run(experiment(config, overrides or []), steps=steps, rounds=rounds, out=out)


@bench.command("prepare")
def bench_prepare(
    images: Annotated[list[str], typer.Argument(metavar="FOLDER…", help="folders of images")],
    count: Annotated[int, typer.Option(help="images, chosen evenly", min=1)] = 400,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """Preparation on all cores against a plain one-image-at-a-time MTCNN loop."""
    from jobs.bench.prepare import bench as run

    run(images, count=count, out=out)


@bench.command("plan")
def bench_plan(
    samples: Annotated[int, typer.Option(help="of the corpus", min=1)] = 10**8,
    shards: Annotated[
        list[int] | None, typer.Option(help="numbers of shards; default 10000, 100000, 400000")
    ] = None,
    ranks: Annotated[int, typer.Option(help="workers", min=1)] = 512,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """What the order of a large corpus costs each rank before its first sample: seconds and memory, resuming included."""
    from jobs.bench.plan import bench as run

    run(samples=samples, shards=shards or [10_000, 100_000, 400_000], ranks=ranks, out=out)


@bench.command("wasserstein")
def bench_wasserstein(
    batch: Annotated[int, typer.Option(help="faces", min=1)] = 8,
    landmarks: Annotated[int, typer.Option(help="landmarks per face", min=1)] = 68,
    size: Annotated[int, typer.Option(help="side of the heatmaps, px", min=2)] = 64,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """The 2-D Wasserstein loss against dense log-domain Sinkhorn: time and memory of forward and backward."""
    from jobs.bench.wasserstein import bench as run

    run(batch=batch, landmarks=landmarks, size=size, out=out)


@bench.command("augment")
def bench_augment(
    name: Annotated[
        str, typer.Argument(metavar="SET", help="every (all operations), adnet or uglli")
    ] = "every",
    sizes: Annotated[list[int] | None, typer.Option("--size", help="side of the images, px")] = None,
    batch: Annotated[int, typer.Option(help="images", min=1)] = 32,
    rounds: Annotated[int, typer.Option(help="times each side is measured, in turn", min=1)] = 5,
    threads: Annotated[int, typer.Option(help="of either side", min=1)] = 1,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """Batched augmentation on the CPU against the same operations per image with Pillow, same threads."""
    from jobs.bench.augment import bench as run

    run(name, sizes=sizes or [128, 256], batch=batch, rounds=rounds, threads=threads, out=out)


@bench.command("infer")
def bench_infer(
    others: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG]…", help="further experiments, as they are")
    ] = None,
    config: Annotated[str, typer.Option(help="experiment of the RCN")] = "configs/laplace_300w.yaml",
    widths: Annotated[
        list[int] | None, typer.Option("--width", help="c of the RCN; default 4, 8, 64")
    ] = None,
    seconds: Annotated[float, typer.Option(help="of each measurement", min=0)] = 2.0,
    rounds: Annotated[int, typer.Option(help="times each side is measured, in turn", min=1)] = 3,
    compiled: Annotated[bool, typer.Option(help="measure torch.compile, too")] = True,
    out: Annotated[str | None, typer.Option(help="write the figures as CSV")] = None,
) -> None:
    """Frames a second of trained networks on one thread of a CPU: eager, torch.compile, ONNX Runtime."""
    from jobs.bench.infer import bench as run

    run(
        config,
        widths or [4, 8, 64],
        others or [],
        seconds=seconds,
        rounds=rounds,
        compiled=compiled,
        out=out,
    )
