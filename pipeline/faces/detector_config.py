"""How faces are looked for: the detector's settings, which a config is read with before anything heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class DetectorConfig:
    """How faces are looked for."""

    canvases: tuple[tuple[int, int], ...] = ((160, 160), (160, 120), (120, 160))
    """(width, height), px. An image goes onto the one where it is largest."""

    margin: float = 0.125
    """Replicated border on every side, share of the canvas: P-Net must see a face whole, and in tight crops
    (FairFace) the face reaches the image's border. A face is found in 96.7 % of its images with
    no margin, 98.0 % with 0.1, 99.0 % with 0.15."""

    min_face: tuple[float, ...] = (0.3, 0.1)
    """Smallest face looked for, share of the letterboxed image's longer side. P-Net's time goes with its
    inverse square, and in face data sets the face is most of the image; so an image is searched for
    smaller faces, on a canvas larger by the ratio to the first share, only if the look before found none."""

    thresholds: tuple[float, float, float] = (0.7, 0.7, 0.7)
    """Probability needed at P-, R- and O-Net. The package has 0.6 first; 0.7 spares R-Net a fifth of its
    candidates and loses one face of 900."""

    factor: float = 0.65
    """Ratio of successive pyramid levels. The paper's 1/√2 costs a fifth more time and finds the same faces;
    0.6 loses 1 % of them."""

    max_candidates: int = 64
    """P-Net's best candidates per image that R-Net sees."""

    batch: int = 32
    """Images per pass of the networks; bounds memory, does not change results."""

    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.canvases or min(min(c) for c in self.canvases) < 24:
            raise ConfigError(
                f"detector, field 'canvases': {self.canvases}: need at least one, sides of 24 px or more"
            )
        if not 0 <= self.margin < 0.45:
            raise ConfigError(f"detector, field 'margin': {self.margin} is outside 0 … 0.45")
        if not self.min_face or any(not 0 < s <= 1 for s in self.min_face):
            raise ConfigError(f"detector, field 'min_face': {self.min_face}: need shares in 0 … 1")
        if not 0 < self.factor < 1:
            raise ConfigError(f"detector, field 'factor': {self.factor} is outside 0 … 1")
        if self.batch < 1 or self.max_candidates < 1:
            raise ConfigError("detector, fields 'batch' and 'max_candidates': must be at least 1")
