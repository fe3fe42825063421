"""Unlabelled images that are copies of test images: re-encoded, resized, cut, brightened, mirrored.

Face sets gathered from the web overlap. An unlabelled copy of a test image would let training see the test
set, so it is left out. The measure is normalised cross-correlation (NCC) of small grey thumbnails of the face
crops: both crops are placed by the same detector around the same face, so a copy is aligned to a few pixels
already.

Thumbnails are band-passed. Aligned faces share their shading, and plain NCC between strangers reaches 0.95;
what a copy shares with its original and with no other face is detail, less the finest, which re-encoding
destroys.

Two looks, because one is not both quick and sure: a matrix product of half-size thumbnails over all pairs
finds candidates, and each is compared again at full size over a few shifts and sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.errors import DataError

_SIDE = 40  # of a thumbnail, px
_WINDOW = 28  # central part compared in detail, px: the face without the border, which may be replicated
# Sides that a reference's 40 px become: two crops of one face differ in size by up to 10 %.
_ZOOMS = (36, 38, 40, 42, 44)
_REACH = 3  # px of the thumbnail that the face's place may differ in two crops
# Standard deviations (px) of the two Gaussians whose difference is the band-pass. Of seven bands tried on
# real faces, this one separates copies from strangers best.
_BAND = (0.7, 3.0)
_MIN_STD = 1.5  # grey levels in the band; below it a thumbnail is flat, and normalising would amplify noise
_COARSE_CUT = 4  # px of border left out of the half-size thumbnails
_MIN_SHARE = 0.05  # of a thumbnail's norm that a part must hold to be compared
_CHUNK = 2048  # candidates per matrix product; bounds memory


@dataclass(frozen=True)
class Match:
    """A candidate's nearest reference.

    Attributes:
        reference: Its name.
        similarity: NCC in detail, −1 … 1.
        mirrored: Whether the candidate shows the reference mirrored.
    """

    reference: str
    similarity: float
    mirrored: bool


def _normalised(patterns_NP: np.ndarray, min_norm: float) -> np.ndarray:
    """Zero mean and unit norm over the last axis; flat patterns become zero, and resemble nothing."""
    centred = patterns_NP - patterns_NP.mean(axis=-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.where(norm > min_norm, centred / np.maximum(norm, min_norm), 0).astype(np.float32)


def _gaussian(sigma: float) -> np.ndarray:
    """(side, side) float32 matrix that blurs a column; its rows sum to 1 at the border too."""
    place = np.arange(_SIDE)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def thumbnails(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Comparable descriptions of face crops.

    Args:
        crops: (S, S, 3) uint8 RGB each; sizes may differ.

    Returns:
        (N, D) float32, each row of zero mean and unit norm, or zero for a flat image.

    Raises:
        DataError: A crop of another shape or type; the message gives its position.
    """
    grey_ND = np.zeros((len(crops), _SIDE * _SIDE), dtype=np.float32)
    for row, (index, crop) in zip(grey_ND, enumerate(crops), strict=True):
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or crop.shape[0] != crop.shape[1]:
            raise DataError(
                f"crop {index} is {crop.dtype} {crop.shape}; thumbnails need square (S, S, 3) uint8 crops"
            )
        small = (
            Image.fromarray(np.ascontiguousarray(crop))
            .convert("L")
            .resize((_SIDE, _SIDE), Image.Resampling.BOX)
        )
        row[:] = np.asarray(small, dtype=np.float32).ravel()
    grey_NSS = grey_ND.reshape(-1, _SIDE, _SIDE)
    fine, broad = (matrix @ grey_NSS @ matrix.T for matrix in map(_gaussian, _BAND))
    return _normalised((fine - broad).reshape(grey_ND.shape), _MIN_STD * _SIDE)


def _coarse(thumbnails_ND: np.ndarray) -> np.ndarray:
    inner = slice(_COARSE_CUT, _SIDE - _COARSE_CUT)
    half = (_SIDE - 2 * _COARSE_CUT) // 2
    blocks = thumbnails_ND.reshape(-1, _SIDE, _SIDE)[:, inner, inner].reshape(-1, half, 2, half, 2)
    return _normalised(blocks.mean(axis=(2, 4)).reshape(-1, half * half), _MIN_SHARE)


def _mirrored(thumbnails_ND: np.ndarray) -> np.ndarray:
    return thumbnails_ND.reshape(-1, _SIDE, _SIDE)[:, :, ::-1].reshape(-1, _SIDE * _SIDE)


def _detailed(candidate_D: np.ndarray, reference_D: np.ndarray) -> float:
    """Largest NCC of the candidate's centre with the reference, over shifts and sizes."""
    cut = (_SIDE - _WINDOW) // 2
    centre = candidate_D.reshape(_SIDE, _SIDE)[cut : cut + _WINDOW, cut : cut + _WINDOW]
    pattern = _normalised(centre.reshape(-1), _MIN_SHARE)
    reference = Image.fromarray(reference_D.reshape(_SIDE, _SIDE))
    best = -1.0
    for zoom in _ZOOMS:
        resized = np.asarray(reference.resize((zoom, zoom), Image.Resampling.BICUBIC))
        start = (zoom - _WINDOW) // 2 - _REACH
        start, stop = max(0, start), min(zoom, zoom - max(0, start))
        region = resized[start:stop, start:stop]
        windows = np.lib.stride_tricks.sliding_window_view(region, (_WINDOW, _WINDOW))
        patterns = _normalised(windows.reshape(-1, _WINDOW * _WINDOW), _MIN_SHARE)
        best = max(best, float((patterns @ pattern).max()))
    return best


class NearDuplicateIndex:
    """References (test images) to compare candidates (unlabelled images) with.

    Args:
        references_ND: (N, D) from ``thumbnails``.
        names: Of the N references.
        threshold: NCC in detail from which a candidate counts as a copy. Measured with 554 test images: of
            their copies (JPEG 40, half and 1.3 × size, cut by up to 3 and 10 % a side, brightness and
            contrast ± 30 %, mirrored, all of these) 97.3 to 99.3 % reach it, the rest mostly because another
            face was detected; of 26,000 strangers (LFW, FairFace) none does, the nearest has 0.863.
        coarse_threshold: NCC of half-size thumbnails from which a pair is looked at in detail.
        max_pairs: Most similar references per candidate looked at in detail.
    """

    def __init__(
        self,
        references_ND: np.ndarray,
        names: Sequence[str],
        threshold: float = 0.88,
        coarse_threshold: float = 0.55,
        max_pairs: int = 4,
    ) -> None:
        if references_ND.ndim != 2 or references_ND.shape[1] != _SIDE * _SIDE:
            raise DataError(
                f"references have shape {references_ND.shape}, not (N, {_SIDE * _SIDE}): use thumbnails()"
            )
        if len(names) != len(references_ND):
            raise DataError(f"{len(references_ND)} references, but {len(names)} names")
        self.names = tuple(names)
        self.threshold = threshold
        self.coarse_threshold = coarse_threshold
        self.max_pairs = max_pairs
        self._both_2N = np.concatenate((references_ND, _mirrored(references_ND)))
        self._coarse_2N = _coarse(self._both_2N)

    def query(self, candidates_MD: np.ndarray) -> list[Match | None]:
        """The reference each candidate is a copy of.

        Args:
            candidates_MD: (M, D) from ``thumbnails``.

        Returns:
            Per candidate its most similar reference, or None where none reaches the threshold.
        """
        return [
            match if match is not None and match.similarity >= self.threshold else None
            for match in self.nearest(candidates_MD)
        ]

    def nearest(self, candidates_MD: np.ndarray) -> Iterator[Match | None]:
        """As ``query`` without the threshold; None only where no pair is worth a look in detail."""
        for start in range(0, len(candidates_MD), _CHUNK):
            chunk = candidates_MD[start : start + _CHUNK]
            similarity = _coarse(chunk) @ self._coarse_2N.T
            for candidate_D, row in zip(chunk, similarity, strict=True):
                yield self._best(candidate_D, row)

    def _best(self, candidate_D: np.ndarray, similarity_2N: np.ndarray) -> Match | None:
        worth = np.flatnonzero(similarity_2N >= self.coarse_threshold)
        worth = worth[np.argsort(-similarity_2N[worth], kind="stable")][: self.max_pairs]
        if len(worth) == 0:
            return None
        detailed = [_detailed(candidate_D, self._both_2N[i]) for i in worth]
        best = int(np.argmax(detailed))
        index = int(worth[best])
        return Match(self.names[index % len(self.names)], detailed[best], index >= len(self.names))
