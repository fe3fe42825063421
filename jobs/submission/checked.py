"""A submission before anything is sent: what every kind of cluster is asked for, and all that can be wrong with it here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.submission.client import environment
from jobs.submission.identity import job_metadata
from jobs.submission.package import shipped
from jobs.submission.request import Parser, Request, check_request
from jobs.submission.secrets import refuse_tokens
from jobs.submission.variables import own_variables
from pipeline.errors import ConfigError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
Root = Callable[[Sequence[str]], dict[str, str]]
"""Relative paths of a request → the variable that says where they start."""


@dataclass(frozen=True)
class Submission:
    """A checked command with all that goes along.

    Attributes:
        request: The command.
        identity: The job's id.
        variables: Of the job's environment.
        files: Of the package, relative to the working directory.
        size: Their bytes.
        metadata: What the cluster shows of the job.
    """

    request: Request
    identity: str
    variables: dict[str, str]
    files: list[Path]
    size: int
    metadata: dict[str, str]


def check_submission(
    verb: str,
    arguments: Sequence[str],
    parse: Parser,
    *,
    job_id: str | None,
    variables: Mapping[str, str],
    seen: Mapping[str, str | None],
    root: Root,
) -> Submission:
    """Check a command, its config, its environment and its package.

    Args:
        verb: What to run.
        arguments: The verb's own.
        parse: The command line's way from a verb's arguments to its parameters.
        job_id: The job's id; default is VERB-NAME.
        variables: Of the job's environment, as asked for.
        seen: Environment in which its config is read: as the job will see it, None for what it will not have.
        root: Where relative paths start.

    Raises:
        ConfigError: The command, its config, its environment or its package cannot work.
    """
    with environment(seen):
        request = check_request(verb, arguments, parse)
    all_variables = {**variables, **root(request.relative)}
    identity = job_id or f"{verb}-{request.name}"
    if _ID.fullmatch(identity) is None:
        raise ConfigError(
            f"--id {identity}: it becomes part of file names: letters, digits, '-', '_' and '.', at most 100"
        )
    all_variables = own_variables(identity) | all_variables
    files, size = shipped(Path.cwd(), request.configs)
    metadata = job_metadata(request, all_variables)
    refuse_tokens([request.entrypoint, *all_variables.values(), *metadata.values()])
    return Submission(request, identity, all_variables, files, size, metadata)
