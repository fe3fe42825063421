"""Eyes, brows and mouth, painted from the curves that place their landmarks.

``n`` indexes the pixels near the feature; ``pixel`` is the width of a pixel on the face, cm: edges are that soft, so that
they are neither jagged nor blurred.
"""

from __future__ import annotations

import numpy as np

from pipeline.synthetic import texture
from pipeline.synthetic.brush import blend, clamp, flat, line, mix, step, tinted
from pipeline.synthetic.head import MOUTH_BAND
from pipeline.synthetic.landmarks import INNER_CORNER, OUTER_CORNER, Brow, Eye, outer_lips
from pipeline.synthetic.modes import EYE_CENTRE, MOUTH_HALF_WIDTH
from pipeline.synthetic.parameters import FaceParameters

_INNER, _OUTER = INNER_CORNER[0], OUTER_CORNER[0]
_TEETH_PITCH = 0.72  # cm


def _eyeball(
    s: np.ndarray,
    down: np.ndarray,
    t: np.ndarray,
    under_lid: np.ndarray,
    side: int,
    p: FaceParameters,
    pixel: float,
) -> np.ndarray:
    """(3, N) colours of the open eye: white, tear duct, iris, pupil and the light's reflection."""
    shade = 1 - 0.42 * np.exp(-np.maximum(under_lid, 0) / 0.16) - 0.25 * clamp(np.abs(2 * t - 1), 0, 1) ** 3
    ball = tinted((0.90, 0.87, 0.84), shade)
    mix(ball, (0.72, 0.42, 0.40), 0.75 * line(s - _INNER - 0.12, 0.2))
    dx, dy = s - EYE_CENTRE[0] - side * p.gaze[0], down - (EYE_CENTRE[1] + 0.06 + p.gaze[1])
    radius = np.sqrt(dx * dx + dy * dy)
    iris = tinted(p.iris, 1.0 - 0.6 * clamp((radius - 0.48) * 5, 0, 1) + 0.3 * step(-dy, 0.4))
    mix(ball, iris, step(0.66 - radius, pixel * 1.2))
    mix(ball, (0.03, 0.025, 0.025), 0.95 * step(0.27 - radius, pixel))
    light = p.light.direction
    glint = np.hypot(dx - side * 0.24 * light[0], dy - 0.10 - 0.16 * light[1])
    mix(ball, (0.97, 0.97, 0.97), step(0.14 - glint, pixel * 1.2))
    return ball


def paint_eye(
    albedo: np.ndarray,
    gloss: np.ndarray,
    n: np.ndarray,
    s: np.ndarray,
    down: np.ndarray,
    side: int,
    p: FaceParameters,
    pixel: float,
) -> None:
    """One eye with its lids and lashes. ``s`` is the distance from the midline, cm; ``side`` −1 is the viewer's left."""
    eye = p.left_eye if side < 0 else p.right_eye
    upper, low = eye.lids(s)
    fully_open, _ = Eye(eye.upper, eye.lower).lids(s)
    t = (s - _INNER) * (1 / (_OUTER - _INNER))
    within = step(s - _INNER, 0.25) * step(_OUTER - s, 0.25)
    tone = np.asarray(p.skin.tone)
    if p.skin.eyeshadow:
        lid = step(fully_open + 0.85 - down, 0.7) * step(down - upper, 0.1) * within
        blend(albedo, n, (0.45 * p.skin.lip[0], 0.25, 0.32), 0.6 * p.skin.eyeshadow * lid)
    crease = (
        line(down - fully_open - 0.30 + 0.1 * t, 0.10 + 0.4 * pixel) * step(s - 1.7, 0.5) * step(5.1 - s, 0.5)
    )
    blend(albedo, n, tone * 0.45, (0.48 - 0.25 * eye.closure) * crease)
    blend(albedo, n, tone * 0.6, (0.08 + 0.28 * p.skin.age) * line(down - low + 0.55, 0.16) * within)
    inside = (
        step(upper - down, pixel)
        * step(down - low, pixel)
        * step(s - _INNER + 0.05, pixel)
        * step(_OUTER - s, pixel)
    )
    inside = inside * step(upper - low - 0.04, 0.08)
    blend(albedo, n, _eyeball(s, down, t, upper - down, side, p, pixel), inside)
    gloss[n] *= 1 - inside
    lash = step(
        0.10 + 0.08 * p.skin.lashes + 0.4 * pixel - np.abs(down - upper - 0.03) - 0.06 * (t < 0.2),
        0.12 + pixel,
    )
    lash = lash * step(s - _INNER - 0.1, 0.3) * step(_OUTER + 0.1 + 0.25 * p.skin.lashes - s, 0.15)
    blend(albedo, n, (0.07, 0.05, 0.045), (0.55 + 0.4 * p.skin.lashes) * lash)
    rim = line(down - low, 0.05 + 0.4 * pixel) * within
    blend(albedo, n, tone * 0.38, (0.32 + 0.25 * p.skin.lashes) * rim * (1 - 0.6 * inside))


def paint_brow(
    albedo: np.ndarray,
    n: np.ndarray,
    s: np.ndarray,
    down: np.ndarray,
    brow: Brow,
    p: FaceParameters,
    pixel: float,
) -> None:
    """One eyebrow; ``s`` is the distance from the midline, cm."""
    t = clamp((s - brow.inner) / (5.35 - brow.inner), 0, 1)
    thickness = brow.thickness * (1.05 - 0.7 * t**1.6)
    cover = (
        step(0.5 * thickness - np.abs(down - brow.midline(s)), 0.16 + pixel)
        * step(s - brow.inner, 0.35)
        * step(5.35 - s, 0.4)
    )
    hairs = texture.look_up(texture.grain(), s * 14 + down * 6, down * 9 - s * 4 + (p.texture_seed & 255))
    strength = 0.66 if sum(p.hair.colour) > 1.5 else 0.82
    blend(albedo, n, np.asarray(p.hair.colour) * 0.55 + 0.01, cover * clamp(strength + 0.16 * hairs, 0, 0.97))


def _inside_of_mouth(
    x: np.ndarray, share: np.ndarray, p: FaceParameters, gap: float, pixel: float
) -> np.ndarray:
    """(3, N) colours between the lips: dark, tongue, teeth. ``share`` runs 0…1 from the upper to the lower lip."""
    local = gap * np.sqrt(np.maximum(1 - (x / 2.45) ** 2, 0.02))
    depth = share * local
    colours = flat((0.16, 0.045, 0.045), len(x))
    if gap > 1.2:
        mix(colours, (0.55, 0.24, 0.23), step(depth - 0.55 * gap - 0.1, 0.5) * step(1.55 - np.abs(x), 0.5))
    ivory = np.array([0.90, 0.86, 0.78]) * (1 - 0.05 * p.skin.age)
    between = 1 - 0.2 * line(np.mod(x + _TEETH_PITCH / 2, _TEETH_PITCH) - _TEETH_PITCH / 2, 0.05) * float(
        pixel < 0.3
    )
    shading = between * clamp(1 - (x / 2.9) ** 2, 0, 1) ** 0.7 * clamp(0.62 + depth * 1.1, 0, 1)
    tall = min(0.95, 0.35 + 0.55 * gap) * (1 - 0.06 * x * x)
    mix(colours, tinted(ivory, shading), step(tall - depth, 0.08 + pixel))
    if gap > 1.4:
        mix(
            colours,
            tinted(ivory * 0.75, between),
            step(depth - local + 0.38, 0.08 + pixel) * (np.abs(x) < 1.9),
        )
    return colours


def paint_mouth(
    albedo: np.ndarray,
    gloss: np.ndarray,
    n: np.ndarray,
    x: np.ndarray,
    down: np.ndarray,
    p: FaceParameters,
    gap: float,
    pixel: float,
) -> None:
    """Lips and what is between them; ``gap`` is how far the inner lips are apart at the middle, cm."""
    top, bottom = MOUTH_BAND
    upper, lower = outer_lips(x)
    lips = (
        step(upper - down, 0.10 + pixel)
        * step(down - lower, 0.18 + pixel)
        * step(MOUTH_HALF_WIDTH - np.abs(x), 0.15)
    )
    grooves = texture.look_up(texture.strands(), x * 18 + 40, down * 3 + (p.texture_seed & 127))
    colour = tinted(p.skin.lip, (1 + 0.05 * grooves) * np.where(down > top, np.float32(0.84), np.float32(1)))
    blend(albedo, n, colour, lips * (0.72 + 0.2 * p.skin.lipstick))
    gloss[n] += lips * (0.35 + 0.5 * p.skin.lipstick)
    seam = line(np.maximum(down - top, 0) + np.maximum(bottom - down, 0), 0.07 + 0.35 * pixel)
    blend(
        albedo, n, np.asarray(p.skin.lip) * 0.28, 0.8 * seam * step(MOUTH_HALF_WIDTH + 0.1 - np.abs(x), 0.3)
    )
    inner = np.flatnonzero((down < top) & (down > bottom))
    if gap < 0.12 or not len(inner):
        return
    share = (top - down[inner]) * (1 / (top - bottom))
    colours = _inside_of_mouth(x[inner], share, p, gap, pixel)
    blend(albedo, n[inner], colours, step(share - 0.03, 0.08) * step(0.98 - share, 0.05))
    gloss[n[inner]] = 0.15
