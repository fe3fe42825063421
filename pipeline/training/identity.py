"""What makes a run that run: its config, with every set known by its content, so that a root may move.

Beside a run's ``config.yaml`` lies its claim: the content of its sets when it began, and the hashes its config has had, of which
one that is made longer has several.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import Field, ValidationError

from pipeline.errors import ConfigError, ManifestError
from pipeline.shards.identity import content_hash
from pipeline.shards.manifest import join, load_manifest
from pipeline.storage import read_text, write_text
from pipeline.strict import Strict
from pipeline.training.config.experiment import ExperimentConfig

# Sections that do not change what a run computes: where it runs and reports, how its sets were made (their manifests say
# so themselves) and how it is measured afterwards. Changing them keeps it the same run. Nor does the place of the weights it
# starts from: their hash stands beside it.
WHERE = frozenset(
    {"cluster", "tracking", "prepare", "evaluation", "tune", "scale", "selftrain", "init.model"}
)
CLAIM = "claim.json"


class Claim(Strict):
    """``claim.json``."""

    sets: dict[str, str] = Field(description="dotted key below 'data' → content hash of the set's manifest")
    config_hashes: tuple[str, ...] = Field(
        description="of the run, oldest first; its checkpoints bear one of them"
    )


def sets_of(config: ExperimentConfig) -> dict[str, str]:
    """Content hashes of the sets a run may read; one that is not there is known by its path, as nothing else tells.

    The test set is none of them: training never opens it.
    """
    found = {}
    for key, path in config.data.sets().items():
        if key != "test":
            try:
                found[key] = content_hash(load_manifest(path))
            except ManifestError:
                continue
    return found


def known_by(config: ExperimentConfig, sets: Mapping[str, str]) -> ExperimentConfig:
    """A config whose sets stand under their content; what ``config_hash`` and ``differences`` compare.

    Args:
        config: Of the run.
        sets: Of ``sets_of``, or of a claim.
    """
    data = config.data

    def of(key: str, path: str) -> str:
        return f"sha256:{sets[key]}" if key in sets else path

    changes: dict[str, object] = {"train": of("train", data.train), "test": None}
    if data.validation is not None:
        changes["validation"] = of("validation", data.validation)
    changes["extra"] = tuple(
        extra.model_copy(update={"set": of(f"extra.{i}.set", extra.set)})
        for i, extra in enumerate(data.extra)
    )
    if data.unlabelled is not None:
        corpora = tuple(of(f"unlabelled.corpora.{i}", path) for i, path in enumerate(data.unlabelled.corpora))
        changes["unlabelled"] = data.unlabelled.model_copy(update={"corpora": corpora})
    return config.model_copy(update={"data": data.model_copy(update=changes)})


def read_claim(folder: str) -> Claim | None:
    """A run's claim; None where it has none.

    Raises:
        ConfigError: It is damaged.
    """
    url = join(folder, CLAIM)
    text = read_text(url)
    if text is None:
        return None
    try:
        return Claim.model_validate(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise ConfigError(
            f"{url}: damaged ({type(error).__name__}); bring it back, or remove the run's folder to start afresh"
        ) from error


def hashes_of(folder: str, own: str) -> tuple[str, ...]:
    """The hashes a run's checkpoints may bear: its own, which comes last, and those it had while it was shorter."""
    made = read_claim(folder)
    earlier = () if made is None else made.config_hashes
    return (*(known for known in earlier if known != own), own)


def write_claim(folder: str, claim: Claim) -> None:
    """Write it, whole."""
    write_text(join(folder, CLAIM), claim.model_dump_json(indent=2) + "\n")
