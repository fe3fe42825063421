"""Tileable noise, made once per process and looked up by surface coordinates."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SIDE = 256


def _filtered(seed: int, exponent: float, stretch: float) -> np.ndarray:
    """(SIDE, SIDE) float32 noise of unit variance with spectrum 1 / f^exponent, ``stretch`` times longer along axis 1."""
    white = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    fy, fx = np.fft.fftfreq(SIDE)[:, None] * SIDE, np.fft.fftfreq(SIDE)[None] * SIDE
    frequency = np.sqrt(fy**2 + (fx * stretch) ** 2)
    spectrum = np.fft.fft2(white) / np.maximum(frequency, 1.0) ** exponent
    spectrum[0, 0] = 0
    noise = np.fft.ifft2(spectrum).real
    return (noise / noise.std()).astype(np.float32)


@lru_cache(maxsize=1)
def clouds() -> np.ndarray:
    """Soft blotches."""
    return _filtered(11, 1.5, 1.0)


@lru_cache(maxsize=1)
def strands() -> np.ndarray:
    """Streaks along axis 1: hair."""
    return _filtered(12, 0.9, 12.0)


@lru_cache(maxsize=1)
def grain() -> np.ndarray:
    """Fine grain: pores, stubble, cloth."""
    return _filtered(13, 0.25, 1.0)


def look_up(table: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values at (u, v) cells, wrapped around."""
    # Both indices are masked, so that the flat index is always inside.
    return table.ravel()[((u.astype(np.int32) & (SIDE - 1)) << 8) | (v.astype(np.int32) & (SIDE - 1))]
