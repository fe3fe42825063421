"""``landmarks jobs``, as the command line declares it."""

from __future__ import annotations

from typing import Annotated

import typer

jobs = typer.Typer(help="The cluster's jobs: list, follow, stop.", no_args_is_help=True)
AddressOption = Annotated[
    str | None, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="of the cluster's job server")
]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="submission id")]


@jobs.command("list")
def jobs_list(address: AddressOption = None) -> None:
    """Every job with its state, duration and MLflow run."""
    from jobs.submitted import show_jobs

    show_jobs(address)


@jobs.command("follow")
def jobs_follow(job_id: JobArgument, address: AddressOption = None) -> None:
    """Print a job's logs until it ends; the exit code is the job's."""
    from jobs.submitted import follow_job

    raise typer.Exit(follow_job(job_id, address))


@jobs.command("stop")
def jobs_stop(job_id: JobArgument, address: AddressOption = None) -> None:
    """Stop a job. Submitted again under the same id, it resumes."""
    from jobs.submitted import stop_job

    raise typer.Exit(stop_job(job_id, address))
