"""Everything about prepared sets that would fail, or falsify numbers, later: found now, without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ManifestError
from pipeline.shards.checks import SetContent, check_set, check_shard
from pipeline.shards.duplicates import SetDuplicates
from pipeline.shards.findings import Finding, Findings
from pipeline.shards.manifest import Manifest, join, load_manifest, manifest_url, parent
from pipeline.words import counted

_HELD_OUT_FIRST = {"test": 0, "validation": 1, "train": 2}
_EXAMPLES = 3


@dataclass
class Report:
    """Outcome of a verification.

    Attributes:
        findings: What is wrong, errors first.
        manifests: (manifest's address, manifest) of the sets that could be opened.
    """

    findings: list[Finding] = field(default_factory=list)
    manifests: list[tuple[str, Manifest]] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that must be mended before training."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def ok(self) -> bool:
        """No errors."""
        return not self.errors


@dataclass
class _HeldOut:
    """What a test or validation set must not share with the sets checked after it."""

    url: str
    manifest: Manifest
    content: SetContent
    faces: SetDuplicates | None


def _check_streams(url: str, manifest: Manifest, streams: int, findings: Findings) -> None:
    if manifest.samples < streams:
        findings.add(
            "error",
            url,
            f"{counted(manifest.samples, 'sample')} for {streams} streams: some streams would be empty",
            "use fewer workers or streams, or more images",
        )
    elif len(manifest.shards) < streams:
        per_shard = max(1, manifest.samples // streams)
        findings.add(
            "warning",
            url,
            f"{counted(len(manifest.shards), 'shard')} for {streams} streams: samples are dealt one by one, and every "
            "worker reads every shard",
            f"harmless for a small set; otherwise prepare it with samples_per_shard {per_shard} or less",
        )


def _check_agreement(sets: Sequence[tuple[str, Manifest]], findings: Findings) -> None:
    labelled = [(url, manifest) for url, manifest in sets if manifest.role == "labelled"]
    for url, manifest in labelled[1:]:
        first_url, first = labelled[0]
        if manifest.markup != first.markup or manifest.num_landmarks != first.num_landmarks:
            findings.add(
                "error",
                url,
                f"markup '{manifest.markup}', that of {first_url} is '{first.markup}'",
                "verify and train with sets of one markup",
            )
    for url, manifest in sets[1:]:
        if manifest.crop != sets[0][1].crop:
            findings.add(
                "warning",
                url,
                f"its crop policy differs from that of {sets[0][0]}",
                "a model sees the faces of one crop policy in training and in tests; prepare them alike",
            )


def _check_leakage(url: str, content: SetContent, held: _HeldOut, findings: Findings) -> None:
    """Images that are in a held-out set by name or by bytes."""
    theirs = held.content
    for what, shared in (
        ("keys", set(content.keys) & set(theirs.keys)),
        ("images (by name)", set(content.images) & set(theirs.images)),
        ("images (same bytes)", set(content.hashes) & set(theirs.hashes)),
    ):
        if shared:
            example = next(iter(sorted(map(str, shared)))) if what != "images (same bytes)" else ""
            findings.add(
                "error",
                url,
                f"{len(shared)} {what} are also in {held.url}" + (f", e.g. {example}" if example else ""),
                "take them out of one of the two sets: a score on images seen in training means nothing",
            )


def _near_duplicates(crops: Sequence[tuple[str, np.ndarray]], held: _HeldOut) -> list[tuple[str, str]]:
    """(key, key in the held-out set) of the faces that are also there, re-encoded, resized or mirrored."""
    if held.faces is None or not crops:
        return []
    matches = held.faces.matches([crop for _, crop in crops])
    return [(key, match) for (key, _), match in zip(crops, matches, strict=True) if match is not None]


def _report_near_duplicates(
    url: str, pairs: Sequence[tuple[str, str]], held: _HeldOut, findings: Findings
) -> None:
    if pairs:
        examples = ", ".join(f"{key} of {other}" for key, other in pairs[:_EXAMPLES])
        findings.add(
            "error" if held.manifest.split == "test" else "warning",
            url,
            f"{counted(len(pairs), 'face is a near-duplicate', 'faces are near-duplicates')} of faces in {held.url}, e.g. "
            f"{examples}",
            "leave them out: 'drop_near_duplicates_of' in the preparation, or remove the images",
        )


def verify(
    manifests: Sequence[str],
    streams: int | None = None,
    on_shard: Callable[[Manifest], None] | None = None,
    near_duplicates: bool = True,
) -> Report:
    """Check prepared sets one by one and against each other.

    Args:
        manifests: Their folders or manifests, local paths or URLs.
        streams: Number of canonical streams of the training that will read them.
        on_shard: Called after each tar, for a progress display.
        near_duplicates: Look for re-encoded, resized or mirrored copies too: some milliseconds a face.

    Returns:
        The report. Nothing is raised for bad sets: everything that is wrong is listed at once.
    """
    findings, report = Findings(), Report()
    for folder in manifests:
        try:
            report.manifests.append((manifest_url(folder), load_manifest(folder)))
        except ManifestError as error:
            message, _, remedy = str(error).removeprefix(f"{manifest_url(folder)}: ").rpartition("; ")
            findings.add("error", manifest_url(folder), message, remedy)
    _check_agreement(report.manifests, findings)
    held_out: list[_HeldOut] = []
    # Held-out sets first: the others are then compared with them tar by tar, whatever their size.
    for url, manifest in sorted(report.manifests, key=lambda entry: _HELD_OUT_FIRST[entry[1].split]):
        if streams is not None and manifest.split == "train":
            _check_streams(url, manifest, streams, findings)
        content = SetContent()
        faces: list[tuple[str, np.ndarray]] = []
        others: list[tuple[_HeldOut, list[tuple[str, str]]]]
        others = [(held, []) for held in held_out if held.manifest.split != manifest.split]
        for entry in manifest.shards:
            shard = join(parent(url), entry.path)
            crops = check_shard(shard, entry, manifest, content, findings)
            for held, pairs in others:
                # Unlabelled copies of validation faces carry no labels: they cannot falsify a choice by much.
                if near_duplicates and (manifest.role == "labelled" or held.manifest.split == "test"):
                    pairs += _near_duplicates(crops, held)
            if near_duplicates and manifest.split != "train":
                faces += crops
            if on_shard is not None:
                on_shard(manifest)
        check_set(url, manifest, content, findings)
        for held, pairs in others:
            _check_leakage(url, content, held, findings)
            _report_near_duplicates(url, pairs, held, findings)
        if manifest.split != "train":
            held_out.append(
                _HeldOut(url, manifest, content, SetDuplicates(faces) if near_duplicates and faces else None)
            )
    report.findings = sorted(findings.close(), key=lambda finding: finding.severity != "error")
    return report
