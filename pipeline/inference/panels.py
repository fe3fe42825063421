"""Heatmaps of a few faces of a set, as images for a report."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from PIL import Image

from pipeline.evaluation.plots.overlays import heatmap_panel
from pipeline.methods.model_file import load_model
from pipeline.shards.device import to_device
from pipeline.shards.sequential import sequential_batches


@torch.no_grad()
def heatmap_panels(model_folder: str, data: str, faces: int) -> list[tuple[str, Image.Image]]:
    """The first faces of a set beside their heatmaps: the same faces for every model; none from a model without heatmaps.

    Args:
        model_folder: Folder of model.json.
        data: Prepared set.
        faces: How many.

    Returns:
        (key, image) pairs.
    """
    model = load_model(model_folder)
    batch = next(islice(sequential_batches(data, faces), 1))
    inputs = to_device(batch, torch.device("cpu"), model.description.input_size)
    heatmaps_BKHW = model(inputs.images_B3HW).heatmaps_BKHW
    if heatmaps_BKHW is None:
        return []
    heatmaps = heatmaps_BKHW.float().clamp(min=0.0).numpy()
    images = np.round(inputs.images_B3HW.numpy().transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    markup = model.description.layout  # the set may be labelled with another
    return [
        (key, Image.fromarray(heatmap_panel(image, maps, markup=markup)))
        for key, image, maps in zip(batch.keys, images, heatmaps, strict=True)
    ]
