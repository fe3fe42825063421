"""A loss per file: a pure function on tensors, and a module that averages it over the annotated landmarks.

``from pipeline.losses import laplace_kl`` is the function. Most functions have their file's name: here the name means the
function; the file is ``from pipeline.losses.laplace_kl import …``, as everywhere in the project.
"""

from pipeline.losses.adl import ADL, adl, smooth_adl
from pipeline.losses.adversarial import discriminator_loss, generator_loss
from pipeline.losses.anisotropic import Anisotropic, mahalanobis
from pipeline.losses.awing import AWing, awing
from pipeline.losses.base import HeatmapLoss, masked_mean
from pipeline.losses.coordinates import CoordinateLoss, CovarianceLoss, Gaussian
from pipeline.losses.decoded import Decoded
from pipeline.losses.gaussian_kl import GaussianKL, gaussian_kl
from pipeline.losses.gaussian_log_likelihood import GaussianLogLikelihood, gaussian_log_likelihood
from pipeline.losses.heatmap_l2 import HeatmapL2, heatmap_l2
from pipeline.losses.jensen_shannon import JensenShannon, jensen_shannon
from pipeline.losses.l1 import L1, l1
from pipeline.losses.l2 import L2, l2
from pipeline.losses.laplace_kl import LaplaceKL, laplace_kl
from pipeline.losses.pixel_values import PixelValueLoss
from pipeline.losses.smooth_l1 import SmoothL1, smooth_l1
from pipeline.losses.softargmax_l2 import SoftargmaxL2, point_distance
from pipeline.losses.star import STAR, star
from pipeline.losses.wasserstein import Wasserstein, wasserstein
from pipeline.losses.wing import Wing, wing

__all__ = [
    "ADL",
    "L1",
    "L2",
    "STAR",
    "AWing",
    "Anisotropic",
    "CoordinateLoss",
    "CovarianceLoss",
    "Decoded",
    "Gaussian",
    "GaussianKL",
    "GaussianLogLikelihood",
    "HeatmapL2",
    "HeatmapLoss",
    "JensenShannon",
    "LaplaceKL",
    "PixelValueLoss",
    "SmoothL1",
    "SoftargmaxL2",
    "Wasserstein",
    "Wing",
    "adl",
    "awing",
    "discriminator_loss",
    "gaussian_kl",
    "gaussian_log_likelihood",
    "generator_loss",
    "heatmap_l2",
    "jensen_shannon",
    "l1",
    "l2",
    "laplace_kl",
    "mahalanobis",
    "masked_mean",
    "point_distance",
    "smooth_adl",
    "smooth_l1",
    "star",
    "wasserstein",
    "wing",
]
