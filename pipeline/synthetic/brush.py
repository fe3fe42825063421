"""Mixing colours over pixels. Colours are sRGB 0…1 and channels come first: (3, P)."""

from __future__ import annotations

import numpy as np

Colour = tuple[float, float, float]


def clamp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """``numpy.clip`` without its overhead on small arrays."""
    return np.asarray(np.minimum(np.maximum(x, low), high))


def step(x: np.ndarray, width: float) -> np.ndarray:
    """0 below, 1 above zero, with a linear ramp ``width`` wide."""
    return np.asarray(np.minimum(np.maximum(x * (1 / width) + 0.5, 0), 1))


def line(x: np.ndarray, width: float) -> np.ndarray:
    """A soft line of half-width ``width`` where x is 0."""
    scaled = x * (1 / width)
    return np.asarray(np.exp(-scaled * scaled))


def flat(colour: Colour | np.ndarray, count: int) -> np.ndarray:
    """(3, count) float32 of one colour."""
    pixels = np.empty((3, count), dtype=np.float32)
    pixels[:] = np.asarray(colour, dtype=np.float32)[:, None]
    return pixels


def tinted(colour: Colour | np.ndarray, tone_N: np.ndarray) -> np.ndarray:
    """(3, N) one colour times a brightness per pixel."""
    pixels = np.empty((3, len(tone_N)), dtype=np.float32)
    for channel, value in zip(pixels, colour, strict=True):
        np.multiply(tone_N, np.float32(value), out=channel)
    return pixels


def mix(under_3N: np.ndarray, over: Colour | np.ndarray, alpha_N: np.ndarray) -> None:
    """Paint one colour, or (3, N) colours, over all pixels, in place."""
    for channel, tint in zip(under_3N, np.asarray(over, dtype=np.float32), strict=True):
        channel += alpha_N * (tint - channel)


def blend(albedo_3P: np.ndarray, where_N: np.ndarray, over: Colour | np.ndarray, alpha_N: np.ndarray) -> None:
    """Paint one colour, or (3, N) colours, over the given pixels, in place."""
    for channel, tint in zip(albedo_3P, np.asarray(over, dtype=np.float32), strict=True):
        under = channel[where_N]
        channel[where_N] = under + alpha_N * (tint - under)


def dim(albedo_3N: np.ndarray, strengths: Colour, amount_N: np.ndarray) -> None:
    """Darken each channel by its strength times an amount per pixel, in place."""
    for channel, strength in zip(albedo_3N, strengths, strict=True):
        channel *= 1 - np.float32(strength) * amount_N


def darken(albedo_3P: np.ndarray, where_N: np.ndarray, strengths: Colour, amount_N: np.ndarray) -> None:
    """``dim`` at the given pixels."""
    for channel, strength in zip(albedo_3P, strengths, strict=True):
        channel[where_N] *= 1 - np.float32(strength) * amount_N
