"""Drawing faces at random: who, with which expression, in which pose, light and clothes, through which camera."""

from __future__ import annotations

import math

import numpy as np

from pipeline.synthetic.brush import Colour
from pipeline.synthetic.draws import Draw, rgb
from pipeline.synthetic.landmarks import Brow, Eye
from pipeline.synthetic.modes import IDENTITY_MODES
from pipeline.synthetic.occluders import GESTURES, OBJECTS
from pipeline.synthetic.parameters import (
    Beard,
    Camera,
    FaceParameters,
    Finish,
    Hair,
    Light,
    Occluder,
    Pose,
    Skin,
    Wear,
)

# Light to dark, sRGB 0…1, spanning the Monk skin-tone scale; a face lies anywhere between two neighbours.
SKIN_TONES = (
    np.array(
        [
            (238, 204, 184),
            (232, 188, 160),
            (224, 172, 136),
            (202, 146, 108),
            (168, 112, 76),
            (124, 80, 54),
            (88, 56, 40),
            (62, 40, 32),
        ]
    )
    / 255
)
HAIR_COLOURS = (
    np.array(
        [
            (22, 18, 16),
            (38, 26, 20),
            (62, 40, 26),
            (92, 60, 36),
            (140, 96, 54),
            (190, 148, 92),
            (216, 186, 132),
            (132, 58, 30),
            (150, 148, 146),
            (214, 212, 208),
        ]
    )
    / 255
)
IRIS_COLOURS = (
    np.array(
        [
            (46, 28, 18),
            (70, 44, 24),
            (104, 70, 36),
            (96, 96, 52),
            (84, 112, 96),
            (84, 122, 158),
            (112, 134, 148),
        ]
    )
    / 255
)
HAIR_STYLES = ("bald", "buzz", "short", "parted", "fringe", "tied", "curly", "bob", "long")


def _pose(draw: Draw, near_frontal: bool) -> Pose:
    kind, side = draw.uniform(0, 1), 1 if draw.chance(0.5) else -1
    yaw = (
        draw.normal(18)
        if kind < 0.6
        else side * (draw.uniform(15, 50) if kind < 0.85 else draw.uniform(45, 75))
    )
    pitch, roll = draw.normal(10), draw.normal(10)
    if near_frontal:
        return Pose(float(np.clip(yaw, -75, 75)) * 20 / 75, pitch * 12 / 25, roll * 12 / 25)
    return Pose(float(np.clip(yaw, -75, 75)), pitch - 2, roll)


def _expression(draw: Draw) -> dict[str, float]:
    kind = draw.choice(
        ("neutral", "smile", "laugh", "talk", "surprise", "angry", "sad", "pucker"),
        (30, 24, 12, 14, 6, 5, 5, 4),
    )
    u = draw.uniform(0.35, 1.0)
    mixture: dict[str, dict[str, float]] = {
        "neutral": {},
        "smile": {"smile": u, "squint": 0.4 * u, "lips_part": u * 1.1 if draw.chance(0.55) else 0.0},
        "laugh": {"smile": 0.8 * u, "lips_part": u, "jaw_open": 0.15 + 0.3 * u, "squint": 0.7 * u},
        "talk": {"jaw_open": 0.1 + 0.3 * u, "pucker": draw.uniform(0, 0.5), "lips_part": 0.3 * u},
        "surprise": {"jaw_open": 0.2 + 0.7 * u, "brow_raise": u},
        "angry": {
            "brow_furrow": u,
            "frown": 0.5 * u,
            "sneer": 0.5 * u,
            "lips_part": 0.6 * u if draw.chance(0.3) else 0.0,
        },
        "sad": {"brow_inner": u, "frown": u},
        "pucker": {"pucker": u, "brow_raise": draw.uniform(0, 0.6)},
    }
    expression = dict(mixture[kind])
    for name, sigma in (
        ("smirk", 0.12),
        ("brow_raise", 0.12),
        ("brow_tilt", 0.15),
        ("jaw_side", 0.15),
        ("frown", 0.1),
    ):
        expression[name] = expression.get(name, 0.0) + draw.normal(sigma)
    return expression


def _hair(draw: Draw, feminine: bool, age: float, dark: bool) -> Hair:
    weights = (1, 1, 8, 8, 12, 18, 8, 16, 28) if feminine else (10, 16, 32, 16, 10, 2, 8, 2, 4)
    style = draw.choice(HAIR_STYLES, weights)
    shade = draw.uniform(0, 1)
    if draw.chance(1.1 * max(0.0, age - 0.5)):
        colour = HAIR_COLOURS[8] + (HAIR_COLOURS[9] - HAIR_COLOURS[8]) * shade
    elif dark and not draw.chance(0.08):
        colour = HAIR_COLOURS[0] + (HAIR_COLOURS[2] - HAIR_COLOURS[0]) * shade
    else:
        colour = HAIR_COLOURS[int(shade * 7.99)] * draw.uniform(0.8, 1.2)
    thickness = {"bald": 0.0, "buzz": 0.18, "tied": 0.5, "curly": draw.uniform(1.2, 3.0)}.get(
        style, draw.uniform(0.6, 1.5)
    )
    return Hair(
        style=style,
        colour=rgb(colour * (1 + np.array([draw.normal(0.05), draw.normal(0.03), draw.normal(0.03)]))),
        hairline=6.5 + draw.normal(0.45) + (0.5 * age if not feminine else 0),
        recession=draw.uniform(0, 0.35) + (0 if feminine else 0.6 * age * draw.uniform(0, 1)),
        thickness=thickness,
        parting=draw.uniform(-3.5, 3.5),
        length=draw.uniform(-12, -8) if style == "bob" else draw.uniform(-24, -14),
        wave=abs(draw.normal(0.3)),
        opening=draw.uniform(62, 88),
    )


def _beard(draw: Draw, feminine: bool) -> Beard:
    kind = draw.choice(("none", "stubble", "moustache", "goatee", "full"), (48, 24, 5, 8, 15))
    u = draw.uniform(0.5, 1.0)
    if feminine or kind == "none":
        return Beard()
    return {
        "stubble": Beard(0.4 * u, 0.42 * u, 0.36 * u, 0.0),
        "moustache": Beard(0.7 + 0.3 * u, 0.0, 0.0, 0.15),
        "goatee": Beard(0.6 + 0.4 * u, 0.6 + 0.4 * u, 0.12 * u, 0.25),
        "full": Beard(0.9 * u + 0.1, 0.95, 0.9 * u + 0.1, draw.uniform(0.15, 1.1)),
    }[kind]


def _wear(draw: Draw, feminine: bool) -> Wear:
    headwear = draw.choice(("", "beanie", "cap", "scarf"), (86, 5, 6, 5 if feminine else 0))
    glasses = draw.choice(("", "clear", "sunglasses"), (74, 19, 7))
    wide = draw.uniform(2.15, 2.75)
    dark_frame = draw.chance(0.7)
    mask = draw.chance(0.025)
    mask_colour = ((0.62, 0.78, 0.86), (0.9, 0.9, 0.9), (0.12, 0.12, 0.14))[int(draw.uniform(0, 2.999))]
    return Wear(
        headwear=headwear,
        headwear_colour=draw.vivid(),
        glasses=glasses,
        frame_colour=(0.07, 0.06, 0.06) if dark_frame else draw.vivid(),
        lens=(
            wide,
            wide * draw.uniform(0.62, 0.95),
            draw.uniform(2.0, 4.5),
            draw.uniform(0.1, 0.42),
            draw.uniform(0, 0.5),
        ),
        mask=mask,
        mask_colour=mask_colour,
        cloth_colour=draw.vivid(),
        neckline=draw.uniform(-17.0, -10.5),
        stripes=draw.uniform(0.5, 2.5) if draw.chance(0.25) else 0.0,
    )


def _light(draw: Draw, tone: Colour) -> Light:
    azimuth, elevation = math.radians(draw.normal(42, 2.0)), math.radians(draw.uniform(-5, 62))
    level = math.cos(elevation)
    warmth, tint, cool = draw.normal(0.09), draw.normal(0.03), draw.normal(0.08)
    hard, bounce = draw.uniform(0.15, 1.0), draw.uniform(0.3, 0.8)
    # Photographers expose dark skin longer.
    total = draw.uniform(0.88, 1.25) * (1 + 0.55 * (1 - sum(tone) / 2.4))
    key, fill = total * (0.35 + 0.55 * hard), total * (0.75 - 0.45 * hard)
    ground = fill * bounce
    return Light(
        direction=(math.sin(azimuth) * level, math.sin(elevation), math.cos(azimuth) * level),
        key=(key * (1 + warmth), key * (1 + tint), key * (1 - warmth)),
        sky=(fill * (1 - cool), fill, fill * (1 + cool)),
        ground=(ground * 1.05 * (1 - cool), ground, ground * 0.94 * (1 + cool)),
        rim=draw.uniform(0.2, 0.9) if draw.chance(0.25) else 0.0,
    )


def _occluder(draw: Draw, skin: Colour) -> Occluder | None:
    kind = draw.choice(("", "hand", "object"), (84, 9, 7))
    gesture, thing = draw.choice(GESTURES, (3, 4, 4, 2)), draw.choice(OBJECTS, (4, 5, 4, 2, 2, 3))
    mirrored, x, y = draw.chance(0.5), draw.normal(4.0, 2.0), draw.uniform(-13, -2)
    turns = (draw.normal(14), draw.normal(25), draw.normal(28))
    colour, scale = draw.vivid(), draw.uniform(0.85, 1.1)
    if not kind:
        return None
    if kind == "hand":
        return Occluder(gesture, (x, y - 3, 6.0), turns, scale * 0.9, skin, mirrored)
    return Occluder(thing, (x * 1.3, y - 4, 7.5), turns, scale, colour)


def _finish(draw: Draw) -> Finish:
    resolution = draw.uniform(0.22, 0.55) if draw.chance(0.1) else 1.0
    return Finish(
        blur=draw.uniform(0.004, 0.014) if draw.chance(0.16) else draw.uniform(0.0, 0.0035),
        motion=draw.uniform(0.02, 0.06) if draw.chance(0.08) else 0.0,
        motion_angle=draw.uniform(0, 180),
        resolution=resolution,
        noise=draw.uniform(0.012, 0.05) if draw.chance(0.3) else draw.uniform(0.0, 0.01),
        jpeg=int(draw.uniform(22, 80)) if draw.chance(0.3) else 0,
        gamma=draw.uniform(0.82, 1.22),
        saturation=draw.uniform(0.7, 1.2),
        grey=draw.chance(0.05),
    )


def sample_parameters(rng: np.random.Generator, *, near_frontal: bool = False) -> FaceParameters:
    """Draw a face.

    Args:
        rng: Source of randomness; the draws and their order do not depend on ``near_frontal``.
        near_frontal: Shrink the pose into |yaw| ≤ 20°, |pitch| ≤ 12°, |roll| ≤ 12°.
    """
    draw = Draw(rng)
    pose, expression = _pose(draw, near_frontal), _expression(draw)
    feminine, age = draw.chance(0.5), draw.uniform(0, 1)
    shape = {name: draw.normal(0.85, 2.2) for name in IDENTITY_MODES}
    shape["jaw_width"] += -0.7 if feminine else 0.5
    shape["brow_ridge"] += -0.9 if feminine else 0.6
    shape["lips"] += 0.5 if feminine else -0.3
    shape["chin_width"] += -0.5 if feminine else 0.5
    shape["lower_face"] += -0.3 if feminine else 0.3
    melanin = draw.uniform(0, 1) ** 1.15 * (len(SKIN_TONES) - 1.001)
    low = int(melanin)
    tone = SKIN_TONES[low] + (SKIN_TONES[low + 1] - SKIN_TONES[low]) * (melanin - low)
    tone = tone * (1 + np.array([draw.normal(0.02), draw.normal(0.03), draw.normal(0.05)]))
    dark = melanin > 2.6
    lipstick = draw.uniform(0.3, 1.0) if feminine and draw.chance(0.5) else 0.0
    made_up = np.array([draw.uniform(0.45, 0.8), draw.uniform(0.05, 0.3), draw.uniform(0.12, 0.35)])
    lip = (tone * np.array([0.88, 0.62, 0.62])) * (1 - 0.7 * lipstick) + made_up * 0.7 * lipstick
    skin = Skin(
        rgb(tone), draw.uniform(0.1, 0.8), age, draw.uniform(0.3, 1) if not dark and draw.chance(0.1) else 0.0,
        draw.uniform(0.1, 0.7), rgb(lip), lipstick, draw.uniform(0.2, 0.9) if feminine and draw.chance(0.4) else 0.0,
        draw.uniform(0.5, 1.0) if feminine else draw.uniform(0.1, 0.5),
    )  # fmt: skip
    upper, lower = 0.66 + draw.normal(0.09, 2), 0.44 + draw.normal(0.06, 2)
    upper += 0.12 * expression.get("brow_raise", 0)
    squint = expression.get("squint", 0.0) * 0.35 + max(0.0, expression.get("brow_furrow", 0.0)) * 0.2
    closure = float(np.clip(abs(draw.normal(0.1)) + squint, 0, 0.6))
    blink, wink = draw.chance(0.06), draw.chance(0.02)
    shut = draw.uniform(0.7, 1.0)
    left = Eye(upper, lower, shut if blink else closure)
    right = Eye(upper, lower, shut if blink or wink else closure)
    brow = (draw.normal(0.12), 0.32 + draw.normal(0.16), 0.25 + draw.normal(0.2), 0.35 if feminine else 0.55)
    thickness, inner = brow[3] * draw.uniform(0.7, 1.45), 1.0 + draw.normal(0.15)
    both = Brow(brow[0], brow[1], brow[2], thickness, inner)
    gaze = (draw.normal(0.22, 2), draw.normal(0.08, 2))
    eye_shade = draw.uniform(0, 1)
    iris = IRIS_COLOURS[int(eye_shade * (2 if dark else 6.99))] * draw.uniform(0.8, 1.2)
    camera = Camera(
        span=draw.uniform(22.5, 29.5),
        shift=(draw.normal(0.035, 2), draw.normal(0.03, 2)),
        distance=draw.uniform(55, 220),
    )
    hair, beard, wear = _hair(draw, feminine, age, bool(dark)), _beard(draw, feminine), _wear(draw, feminine)
    light, occluder, finish = _light(draw, rgb(tone)), _occluder(draw, rgb(tone)), _finish(draw)
    return FaceParameters(
        {**shape, **expression}, pose, camera, left, right, both, both, gaze, rgb(iris), skin, hair, beard, wear,
        light, occluder, finish, int(draw.uniform(0, 2**31)),
    )  # fmt: skip
