"""Everything that makes one synthetic face, as plain values; ``sampling`` draws them at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.synthetic.brush import Colour
from pipeline.synthetic.landmarks import Brow, Eye


@dataclass(frozen=True)
class Pose:
    """Head pose, degrees. yaw > 0 turns the nose to the image's right, pitch > 0 lifts it, roll > 0 is clockwise."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking at the middle of the face.

    Attributes:
        span: Side of the image at the face's distance, cm.
        shift: Where the face's middle is off the image's, as a share of the side, (x, y) downwards.
        distance: From the middle of the face, cm.
    """

    span: float = 25.0
    shift: tuple[float, float] = (0.0, 0.0)
    distance: float = 120.0


@dataclass(frozen=True)
class Skin:
    """Skin: sRGB tone 0…1, and strengths 0…1 of what varies over it."""

    tone: Colour = (0.88, 0.69, 0.55)
    redness: float = 0.4
    age: float = 0.2
    freckles: float = 0.0
    oil: float = 0.3
    lip: Colour = (0.72, 0.38, 0.36)
    lipstick: float = 0.0
    eyeshadow: float = 0.0
    lashes: float = 0.5


@dataclass(frozen=True)
class Hair:
    """Hair: style, sRGB colour, hairline (cm over the eyes), recession 0…1, thickness (cm), parting (cm), fall and waves."""

    style: str = "short"
    colour: Colour = (0.24, 0.16, 0.1)
    hairline: float = 6.6
    recession: float = 0.2
    thickness: float = 0.8
    parting: float = 0.0
    length: float = -12.0
    wave: float = 0.2
    opening: float = 72.0


@dataclass(frozen=True)
class Beard:
    """Facial hair: 0…1 coverage of moustache, chin and cheeks, and how far it stands out, cm."""

    moustache: float = 0.0
    chin: float = 0.0
    cheeks: float = 0.0
    thickness: float = 0.0


@dataclass(frozen=True)
class Wear:
    """What is worn: headwear, glasses, a surgical mask, clothes; ``""`` is nothing."""

    headwear: str = ""
    headwear_colour: Colour = (0.3, 0.3, 0.4)
    glasses: str = ""
    frame_colour: Colour = (0.1, 0.1, 0.1)
    lens: tuple[float, float, float, float, float] = (2.5, 1.9, 3.0, 0.2, 0.2)
    mask: bool = False
    mask_colour: Colour = (0.6, 0.75, 0.85)
    cloth_colour: Colour = (0.3, 0.35, 0.5)
    neckline: float = -13.8
    stripes: float = 0.0


@dataclass(frozen=True)
class Light:
    """Key light direction (camera axes, towards the light), linear colours of key, sky and ground, and a rim light."""

    direction: tuple[float, float, float] = (0.35, 0.45, 0.82)
    key: Colour = (0.8, 0.78, 0.74)
    sky: Colour = (0.36, 0.38, 0.42)
    ground: Colour = (0.2, 0.18, 0.17)
    rim: float = 0.0


@dataclass(frozen=True)
class Occluder:
    """A hand or object: kind (gesture or thing), place (cm, camera axes from the face's middle), rotation, size, colour."""

    kind: str
    place: tuple[float, float, float]
    turns: tuple[float, float, float]
    scale: float
    colour: Colour
    mirrored: bool = False


@dataclass(frozen=True)
class Finish:
    """The camera's faults. Lengths are shares of the image's side."""

    blur: float = 0.0
    motion: float = 0.0
    motion_angle: float = 0.0
    resolution: float = 1.0
    noise: float = 0.0
    jpeg: int = 0
    gamma: float = 1.0
    saturation: float = 1.0
    grey: bool = False


@dataclass(frozen=True)
class FaceParameters:
    """One face. The defaults are a neutral, symmetric, frontal one."""

    shape: Mapping[str, float] = field(default_factory=dict)
    pose: Pose = Pose()
    camera: Camera = Camera()
    left_eye: Eye = field(default_factory=Eye)
    right_eye: Eye = field(default_factory=Eye)
    left_brow: Brow = field(default_factory=Brow)
    right_brow: Brow = field(default_factory=Brow)
    gaze: tuple[float, float] = (0.0, 0.0)
    iris: Colour = (0.27, 0.17, 0.1)
    skin: Skin = Skin()
    hair: Hair = Hair()
    beard: Beard = Beard()
    wear: Wear = Wear()
    light: Light = Light()
    occluder: Occluder | None = None
    finish: Finish = Finish()
    texture_seed: int = 0
