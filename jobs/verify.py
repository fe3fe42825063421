"""``landmarks verify``: check prepared sets before training on them. Seconds, no GPU."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from jobs.progress import progress
from pipeline.shards.manifest import load_manifest
from pipeline.shards.verify import Report
from pipeline.shards.verify import verify as verify_sets


def _total(manifests: Sequence[str]) -> int:
    from pipeline.errors import ManifestError

    total = 0
    for folder in manifests:
        try:
            total += load_manifest(folder).samples
        except ManifestError:
            continue  # reported by the verification itself
    return total


def show(report: Report, console: Console) -> None:
    """Print what was checked and every finding."""
    for url, manifest in report.manifests:
        console.print(
            f"{manifest.name}: {manifest.role}, {manifest.split}, {manifest.samples} samples, "
            f"{len(manifest.shards)} shard(s), {manifest.bytes / 2**20:.1f} MiB ({url})",
            highlight=False,
            soft_wrap=True,
        )
    for finding in report.findings:
        style = "red" if finding.severity == "error" else "yellow"
        console.print(str(finding), style=style, highlight=False, soft_wrap=True, markup=False)
    if report.ok:
        console.print(f"ok ({len(report.findings)} warnings)", style="green", highlight=False)
    else:
        console.print(f"{len(report.errors)} errors", style="red", highlight=False)


def verify(manifests: Sequence[str], *, streams: int | None = None, near_duplicates: bool = True) -> int:
    """Check prepared sets and print what is wrong.

    Args:
        manifests: Folders of prepared sets, or their manifests; local paths or URLs.
        streams: Number of canonical streams of the training that will read them.
        near_duplicates: Look for re-encoded copies between the sets too, the slowest check.

    Returns:
        Exit code: 1 if there are errors, else 0. Warnings do not count.
    """
    with progress("verify", _total(manifests), unit="samples") as advance:
        report = verify_sets(
            manifests,
            streams,
            lambda manifest: advance(manifest.samples // len(manifest.shards)),
            near_duplicates,
        )
    show(report, Console())
    return 0 if report.ok else 1
