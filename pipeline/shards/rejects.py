"""Rejects: images and entries that give no sample, counted and listed with reasons; over a set rate they end a preparation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from pipeline.datasets.face import Unusable
from pipeline.errors import DataError, StorageError
from pipeline.shards.manifest import Manifest, join
from pipeline.shards.plan import SetPlan
from pipeline.shards.prepare import Reject
from pipeline.shards.staging import Staging
from pipeline.storage import open_text, write_text
from pipeline.words import counted

REJECTED_NAME = "rejected.jsonl"
NOTHING_VISIBLE = (
    "no landmark of the set is visible: if its annotation says 1 for what is visible, set the reader's 'one_means' "
    "to visible"
)
_EXAMPLES = 5
"""Rejects that are printed; the file lists all."""


def _list(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def check_entries(plan: SetPlan, staging: Staging, limit: float) -> None:
    """Stop before the first image is read if too many entries of the data set itself give no face.

    Raises:
        DataError: With the reasons, the first of them in full, and where all are listed.
    """
    rejects = [Reject(r.name, r.reason, r.problem) for r in plan.records if isinstance(r, Unusable)]
    if len(rejects) > limit * len(plan.records) or len(rejects) == len(plan.records):
        raise _too_many(plan, rejects, staging, limit)


def check_rejects(plan: SetPlan, rejected: Counter[str], limit: float, staging: Staging) -> None:
    """Stop if too much is left out.

    Raises:
        DataError: With the reasons, most frequent first, the first images in full, and where all are listed.
    """
    if rejected.total() > limit * len(plan.records):
        rejects = [reject for index in sorted(staging.finished()) for reject in staging.state(index)[1]]
        raise _too_many(plan, rejects, staging, limit)


def _too_many(plan: SetPlan, rejects: list[Reject], staging: Staging, limit: float) -> DataError:
    total, reasons = len(rejects), Counter(reject.reason for reject in rejects)
    share = (
        "all that there are"
        if total == len(plan.records)
        else f"more than the {limit:.0%} of 'max_reject_share'"
    )
    remedy = "look at the images, 'crop' and 'detector', or raise it"
    if reasons.most_common(1)[0][0] == "near_duplicate":
        remedy = (
            f"they repeat {' and '.join(plan.references)}: use other images, set 'validation.drop_near_duplicates' to false, or "
            "shorten 'drop_near_duplicates_of'"
        )
    url = join(staging.root, REJECTED_NAME)
    write_text(url, rejects_text(rejects))
    return DataError(
        f"set '{plan.name}': {total} of {counted(len(plan.records), 'image')} left out ({_list(reasons)}), {share}; {remedy}. "
        f"All are listed in {url}. {examples(rejects)}"
    )


def rejects_text(rejects: Sequence[Reject]) -> str:
    """The content of the file that lists them."""
    return "".join(json.dumps(reject._asdict(), ensure_ascii=False) + "\n" for reject in rejects)


def examples(rejects: Sequence[Reject]) -> str:
    """The first few, a line each."""
    shown = "".join(f"\n  {reject.name}: {reject.reason}: {reject.detail}" for reject in rejects[:_EXAMPLES])
    more = len(rejects) - _EXAMPLES
    return f"The first:{shown}" + (f"\n  … and {more} more" if more > 0 else "")


def remarks(plan: SetPlan, manifest: Manifest) -> list[str]:
    """What whoever prepared a set should know of it: what was left out, and what looks like a mistake in its annotation.

    Raises:
        StorageError: The list of rejects cannot be read.
    """
    found: list[str] = []
    if manifest.rejected:
        url = join(plan.folder, REJECTED_NAME)
        try:
            with open_text(url) as file:
                rejects = [Reject(**json.loads(line)) for line in file]
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{url}: cannot read the list of rejects: {error}; prepare the set again"
            ) from error
        found.append(f"left out, all listed in {url}. {examples(rejects)}")
    if manifest.statistics.get("landmarks_hidden_share") == 1.0:
        found.append(NOTHING_VISIBLE)
    return found
