"""``landmarks jobs``: what runs on the cluster, its logs, its end, and the MLflow run each job writes."""

from __future__ import annotations

from jobs.submission import listing
from jobs.submission.client import JobServer, find_address
from jobs.submission.following import Follower, note, stop


def show_jobs(address: str | None) -> None:
    """Print every job the cluster remembers, newest first.

    Raises:
        ClusterError: The job server cannot be used.
    """
    listing.show_jobs(JobServer(find_address(address)))


def follow_job(job_id: str, address: str | None) -> int:
    """Print a job's log until it is over.

    Returns:
        The job's exit code; 130 if it was stopped or left to itself.

    Raises:
        ClusterError: No such job, or the job server cannot be used.
    """
    server = JobServer(find_address(address))
    server.known(job_id)
    return Follower(server, job_id).follow()


def stop_job(job_id: str, address: str | None) -> int:
    """Stop a job and wait until it has stopped.

    Returns:
        0: it does not run any more.

    Raises:
        ClusterError: No such job, or it does not stop.
    """
    server = JobServer(find_address(address))
    info = server.known(job_id)
    if info.status.is_terminal():
        note(f"{job_id} is over already: {info.status.value}")
        return 0
    info = stop(server, job_id)
    note(f"{job_id}: {info.status.value}. Submitted again under the same id, it resumes")
    return 0


if __name__ == "__main__":
    from jobs.cli import main

    main("jobs")
