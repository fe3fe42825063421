"""Images of fixed validation faces, drawn as a run learns: landmarks over truth, and the heatmaps behind them."""

from __future__ import annotations

import io
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import nn

from pipeline.evaluation.plots.overlays import draw_landmarks, face_grid, heatmap_panel
from pipeline.evaluation.plots.palette import PREDICTION, TRUTH
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.models.output import as_output
from pipeline.shards.device import to_device
from pipeline.shards.sequential import sequential_batches

FACES = 8
PANELS = 4

LANDMARKS = ((PREDICTION, "prediction"), (TRUTH, "truth"))
HEATMAPS = ((None, "face · all heatmaps, each relative to its own peak · the framed eye enlarged"),)
"""What the images show, on them: MLflow shows them without a page around."""


@torch.no_grad()
def validation_images(
    module: nn.Module, method: Method, manifest: str, markup: Markup, input_size: int, device: torch.device
) -> dict[str, bytes]:
    """PNG files of the first validation faces: always the same ones, so that a run's images can be leafed through.

    Returns:
        ``overlays.png`` and, of networks that have heatmaps, ``heatmaps.png``.
    """
    module.eval()
    batch = next(islice(sequential_batches(manifest, FACES), 1))
    inputs = to_device(batch, device, input_size)
    prediction = method.decode(as_output(module(inputs.images_B3HW)))
    images = (inputs.images_B3HW * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    predicted, target = prediction.points_BK2.cpu().numpy(), inputs.points_BK2.cpu().numpy()
    known = inputs.mask_BK.cpu().numpy()
    overlays = [
        draw_landmarks(i, p, np.nan_to_num(t), markup, mask_K=k)
        for i, p, t, k in zip(images, predicted, target, known, strict=True)
    ]
    drawn = {"overlays.png": _png(face_grid(overlays, batch.keys, columns=4, legend=LANDMARKS))}
    if prediction.heatmaps_BKHW is not None:
        maps = prediction.heatmaps_BKHW[:PANELS].float().clamp(min=0.0).cpu().numpy()
        panels = [heatmap_panel(i, h, markup=markup) for i, h in zip(images[:PANELS], maps, strict=True)]
        grid = face_grid(panels, batch.keys[:PANELS], columns=1, width=panels[0].shape[1], legend=HEATMAPS)
        drawn["heatmaps.png"] = _png(grid)
    return drawn


def _png(image_HW3: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "PNG")
    return buffer.getvalue()
