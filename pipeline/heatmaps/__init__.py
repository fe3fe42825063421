"""Heatmaps: draw targets, read points and uncertainty from predictions."""

from pipeline.heatmaps.average import barycentre, relu_mean, temperature_softargmax
from pipeline.heatmaps.decode import (
    HeatmapMoments,
    covariance,
    mean,
    moments,
    scatter,
    softargmax,
    spatial_softmax,
)
from pipeline.heatmaps.decoder import Decoder, MeanDecoder
from pipeline.heatmaps.draw import gaussian_heatmaps, laplace_heatmaps
from pipeline.heatmaps.peak import argmax, dark, quarter_shift
from pipeline.heatmaps.stride import to_cells, to_pixels
from pipeline.heatmaps.uncertainty import cholesky_covariance, cholesky_factor, laplace_covariance, spread
from pipeline.heatmaps.unit_peak import unit_gaussian_heatmaps

__all__ = [
    "Decoder",
    "HeatmapMoments",
    "MeanDecoder",
    "argmax",
    "barycentre",
    "cholesky_covariance",
    "cholesky_factor",
    "covariance",
    "dark",
    "gaussian_heatmaps",
    "laplace_covariance",
    "laplace_heatmaps",
    "mean",
    "moments",
    "quarter_shift",
    "relu_mean",
    "scatter",
    "softargmax",
    "spatial_softmax",
    "spread",
    "temperature_softargmax",
    "to_cells",
    "to_pixels",
    "unit_gaussian_heatmaps",
]
