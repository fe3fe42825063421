"""``landmarks verify``: check prepared sets, and a config's tracking store, before training on them. Seconds, no GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from jobs.cluster.progress import progress
from pipeline.errors import ManifestError, TrackingError
from pipeline.shards.findings import Finding
from pipeline.shards.manifest import load_manifest
from pipeline.shards.pose_histogram import pose_histogram
from pipeline.shards.poses import coordinates
from pipeline.shards.verify import Report
from pipeline.shards.verify import verify as verify_sets
from pipeline.training.balance import BalanceConfig
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking_store import check_store
from pipeline.words import counted


def _shards(manifests: Sequence[str]) -> int:
    total = 0
    for folder in manifests:
        try:
            total += len(load_manifest(folder).shards)
        except ManifestError:
            continue  # reported by the verification itself
    return total


def show(report: Report, console: Console) -> None:
    """Print what was checked and every finding."""
    for url, manifest in report.manifests:
        console.print(
            f"{manifest.name}: {manifest.role}, {manifest.split}, {counted(manifest.samples, 'sample')}, "
            f"{counted(len(manifest.shards), 'shard')}, {manifest.bytes / 2**20:.1f} MiB ({url})",
            highlight=False,
            soft_wrap=True,
        )
        if manifest.pose is not None and manifest.split == "train":
            for line in pose_histogram(coordinates(manifest, url), BalanceConfig().bins).lines():
                console.print(f"  {line}", highlight=False, soft_wrap=True)
    for finding in report.findings:
        style = "red" if finding.severity == "error" else "yellow"
        console.print(str(finding), style=style, highlight=False, soft_wrap=True, markup=False)
    if report.ok:
        console.print(f"ok ({counted(len(report.findings), 'warning')})", style="green", highlight=False)
    else:
        console.print(counted(len(report.errors), "error"), style="red", highlight=False)


def _plain(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "sets": [
            {
                "url": url,
                "name": manifest.name,
                "role": manifest.role,
                "split": manifest.split,
                "samples": manifest.samples,
                "shards": len(manifest.shards),
                "bytes": manifest.bytes,
            }
            for url, manifest in report.manifests
        ],
        "findings": [asdict(finding) for finding in report.findings],
    }


def verify(
    manifests: Sequence[str],
    *,
    streams: int | None = None,
    near_duplicates: bool = True,
    tracking: Mapping[str, TrackingConfig] | None = None,
    as_json: bool = False,
) -> int:
    """Check prepared sets, and where their training would be tracked, and print what is wrong.

    Args:
        manifests: Folders of prepared sets, or their manifests; local paths or URLs.
        streams: Number of canonical streams of the training that will read them.
        near_duplicates: Look for re-encoded copies between the sets too, the slowest check.
        tracking: Config → its tracking section; nothing is written to the stores.
        as_json: Print one JSON object for programs in place of lines for people.

    Returns:
        Exit code: 1 if there are errors, else 0. Warnings do not count.
    """
    with progress("verify", _shards(manifests), unit="shards") as advance:
        report = verify_sets(manifests, streams, lambda _: advance(1), near_duplicates)
    for config, section in (tracking or {}).items():
        try:
            check_store(section)
        except TrackingError as error:
            report.findings.insert(0, Finding("error", config, str(error), "training would not start"))
    if as_json:
        print(json.dumps(_plain(report), ensure_ascii=False))
    else:
        show(report, Console())
    return 0 if report.ok else 1


if __name__ == "__main__":
    from jobs.cli import main

    main("verify")
