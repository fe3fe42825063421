"""The command line: one verb per stage. Starts fast; a verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from jobs.arguments import AsJson, ConfigArgument, Overrides
from jobs.bench.commands import bench
from jobs.checkpoint import checkpoint
from jobs.job_commands import jobs
from jobs.looking_commands import doctor, help_, plan
from jobs.model_commands import calibrate, evaluate, export, predict
from jobs.new_commands import new
from jobs.signals import exit_code_of_signals, heed_sigterm
from pipeline.errors import ConfigError, LandmarkError

app = typer.Typer(
    name="landmarks",
    help="Semi-supervised training of facial landmark localization: prepare → verify → train → evaluate; tune, scale, submit.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(bench, name="bench")
app.add_typer(checkpoint, name="checkpoint")
app.add_typer(jobs, name="jobs")
app.add_typer(new, name="new")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"landmark-pipeline {version('landmark-pipeline')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="print the version and stop", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Semi-supervised training of facial landmark localization: prepare → verify → train → evaluate → predict."""


@app.command()
def prepare(
    config: ConfigArgument,
    overrides: Overrides = None,
    workers: Annotated[
        int | None, typer.Option(help="detector processes; default is one per core", min=0)
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="replace sets made from another config")] = False,
) -> None:
    """Cut faces out of images and write them as shards. Goes on where a killed run stopped."""
    from jobs.prepare import prepare as run
    from jobs.settings import prepare_config

    run(prepare_config(config, overrides or []), workers=workers, overwrite=overwrite)


@app.command()
def verify(
    manifests: Annotated[
        list[str], typer.Argument(metavar="SET…", help="folders of prepared sets, or a config YAML")
    ],
    streams: Annotated[
        int | None, typer.Option(help="canonical streams of the training that will read them")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find now what would fail later: hashes, counts, images, landmarks, leakage between train and test, tracking."""
    from jobs.settings import sets_of, tracking_of
    from jobs.verify import verify as run

    found, of_config = sets_of(manifests)
    streams = streams if streams is not None else of_config
    raise typer.Exit(run(found, streams=streams, tracking=tracking_of(manifests), as_json=as_json))


@app.command()
def train(
    config: ConfigArgument,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be done and stop")] = False,
) -> None:
    """Train a generator. The same command again resumes the run."""
    from jobs.settings import experiment

    chosen = experiment(config, overrides or [])
    if dry_run:
        from jobs.dry_run import describe

        describe(chosen)
        return
    from rich.console import Console

    from jobs.train import train as run

    console = Console()
    result = run(chosen, console)
    best = (
        f"best validation NME {result.best:.3f} % at step {result.best_step}"
        if result.best is not None
        else "not validated"
    )
    console.print(f"{chosen.name}: {result.steps} steps in {result.seconds:.0f} s · {best}", highlight=False)
    console.print(f"model: {result.model}", highlight=False, soft_wrap=True)


for _command in (plan, evaluate, calibrate, predict, export):
    app.command()(_command)
app.command("help")(help_)
app.command()(doctor)


@app.command()
def demo(
    config: Annotated[str, typer.Argument(metavar="CONFIG")] = "configs/demo.yaml",
    overrides: Overrides = None,
) -> None:
    """The whole line on faces the project draws itself: prepare, train with and without unlabelled faces, evaluate."""
    from jobs.demo import demo as run

    run(config, overrides or [])


@app.command()
def tune(
    config: ConfigArgument,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the search and stop")] = False,
) -> None:
    """Search hyperparameters: the config's section 'tune'. The same command again resumes, finished trials kept."""
    from jobs.settings import experiment
    from jobs.tune import tune as run

    run(experiment(config, overrides or []), dry_run=dry_run)


@app.command()
def scale(
    config: ConfigArgument,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the grid and stop")] = False,
) -> None:
    """Error against the number of unlabelled and labelled faces: the config's section 'scale'. Computes what is new."""
    from jobs.scale import scale as run
    from jobs.settings import experiment

    run(experiment(config, overrides or []), dry_run=dry_run)


@app.command()
def selftrain(
    config: ConfigArgument,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the rounds and stop")] = False,
) -> None:
    """Train, label the unlabelled faces, pretrain on that, fine-tune, again: the config's section 'selftrain'. Resumes."""
    from jobs.selftrain import selftrain as run
    from jobs.settings import experiment

    run(experiment(config, overrides or []), dry_run=dry_run)


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def submit(
    verb: Annotated[
        str, typer.Argument(metavar="VERB", help="prepare, train, tune, scale, selftrain or evaluate")
    ],
    arguments: Annotated[
        list[str], typer.Argument(metavar="ARGUMENT…", help="the verb's own arguments and options")
    ],
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_API_SERVER_ADDRESS", help="of the cluster's job server, e.g. http://head:8265"
        ),
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--id", help="submission id; default: VERB and the run's name")
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="folder on the cluster that relative paths start from; shared storage")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE for the job; no secrets")] = None,
    cpus: Annotated[float, typer.Option(help="CPUs the driver reserves on its node", min=0)] = 0,
    gpus: Annotated[float, typer.Option(help="GPUs the driver reserves on its node", min=0)] = 0,
    memory: Annotated[float, typer.Option(help="GiB of memory the driver reserves", min=0)] = 0,
    wait: Annotated[
        bool, typer.Option(help="until the job ends; of a job server, follow its logs, too")
    ] = True,
    to: Annotated[
        Literal["ray", "kubernetes", "kueue"],
        typer.Option(help="a job server of Ray's; or a RayJob of KubeRay's, at once or queued by Kueue"),
    ] = "ray",
    cluster: Annotated[
        str,
        typer.Option(envvar="LANDMARKS_CLUSTER", help="YAML that describes the cluster, for the last two"),
    ] = "k8s/cluster.yaml",
    render: Annotated[
        bool, typer.Option("--render", help="print the RayJob's manifests and send nothing")
    ] = False,
) -> None:
    """Run a verb on a cluster. The same id is the same run: submitted again it is followed, or resumed."""
    if to != "ray":
        if cpus or gpus or memory:
            raise ConfigError(
                f"--cpus, --gpus and --memory are of --to ray; with --to {to} the driver runs in the head's pod, and its "
                "size is in the cluster's manifests"
            )
        from jobs.submission.kubernetes.send import submit_to_kubernetes

        code = submit_to_kubernetes(
            verb,
            arguments,
            queued=to == "kueue",
            cluster=cluster,
            job_id=job_id,
            root=root,
            env=env or [],
            render_only=render,
            wait=wait,
            parse=parse,
        )
        raise typer.Exit(code)
    if render:
        raise ConfigError("--render prints a RayJob: say --to kubernetes or --to kueue")
    from jobs.submit import submit as run

    code = run(
        verb,
        arguments,
        address=address,
        job_id=job_id,
        root=root,
        env=env or [],
        cpus=cpus,
        gpus=gpus,
        memory_gib=memory,
        wait=wait,
        parse=parse,
    )
    raise typer.Exit(code)


def parse(verb: str, arguments: Sequence[str]) -> dict[str, Any]:
    """A verb's parameters as its function would be given them, without running it.

    Raises:
        ConfigError: Arguments that the verb does not take.
    """
    group: Any = typer.main.get_command(app)
    usage_error: Any = typer.BadParameter.__base__  # typer's own copy of click's, which it does not export
    try:
        return dict(group.commands[verb].make_context(f"landmarks {verb}", list(arguments)).params)
    except usage_error as error:
        raise ConfigError(f"landmarks {verb}: {error.format_message()}") from error


def main(verb: str | None = None) -> None:
    """Entry point: errors a user can act on are printed without a trace.

    Args:
        verb: That the arguments are for, where it is not the first of them: ``python -m jobs.train …``.
    """
    # Parts of the user's own (loss.name=my_team.focal) are looked for beside the configs, as python -m would.
    sys.path.insert(0, str(Path.cwd()))
    heed_sigterm()
    try:
        with exit_code_of_signals():
            app([*filter(None, [verb]), *sys.argv[1:]], prog_name="landmarks")
    except LandmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
