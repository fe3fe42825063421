"""What may be done to test images, by name; ``robustness`` does it, and needs torch, which those who only read names do not."""

from typing import Literal, get_args

Perturbation = Literal["occlusion-medium", "occlusion-large", "blur-medium", "blur-large"]
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)
