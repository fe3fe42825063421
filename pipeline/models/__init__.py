"""Networks: a generator per file, the discriminator, and layers they share."""

from pipeline.models.cpn import CPN
from pipeline.models.dunet import DUNet
from pipeline.models.hourglass import StackedHourglass
from pipeline.models.hrnet import HRNet
from pipeline.models.output import Output, Stage
from pipeline.models.patchgan import PatchGAN
from pipeline.models.rcn import RCN
from pipeline.models.regressor import CoordinateRegressor
from pipeline.models.simple_baseline import SimpleBaseline

__all__ = [
    "CPN",
    "RCN",
    "CoordinateRegressor",
    "DUNet",
    "HRNet",
    "Output",
    "PatchGAN",
    "SimpleBaseline",
    "StackedHourglass",
    "Stage",
]
