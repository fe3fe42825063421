"""Faces with rare attributes weigh more: the focal factor of PropNet, which makes ADNet ADNet*.

Sources: Huang et al., "PropagationNet", CVPR 2020, section 3 (focal wing loss); Huang et al., "ADNet", ICCV 2021, tables 3 and 7
(ADNet* is ADNet "equipped with the focal factor"). Of Q faces of a batch, the factor of face n for attribute c of C is

    σ_n^(c) = Q / Σ_m s_m^(c)   where s_n^(c) = 1,  else 1,        w_n = (1/C) Σ_c σ_n^(c),

s_n^(c) ∈ {0, 1} whether the face has the attribute. The supervised loss is (1/Q) Σ_n w_n L_n.

Choices: ADNet gives no formula and points to PropNet; that a face without the attribute has factor 1 is our reading of it.
PropNet sums over c where we take the mean, so that a batch without any attribute keeps its loss and a learning rate its meaning;
w averages 1 to 2. The batch is the global one, whatever the number of workers. Faces that could not be read do not count.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


def focal_factor(labels_BC: Tensor, valid_B: Tensor) -> Tensor:
    """w_n of a rank's share of a global batch, (B,) float32.

    With a process group, all ranks must call it together: how often each attribute occurs is summed over them.

    Args:
        labels_BC: bool, whether face n has attribute c.
        valid_B: bool, faces that could be read; the others' weights are of no meaning.
    """
    labels_BC = labels_BC & valid_B[:, None]
    counts = torch.cat([labels_BC.sum(0), valid_B.sum()[None]]).float()
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(counts)
    having_C, faces = counts[:-1], counts[-1]
    return torch.where(labels_BC, faces / having_C.clamp(min=1), 1.0).mean(1)


def weigh(loss: Tensor, mask_BK: Tensor, weights_BK: Tensor) -> Tensor:
    """From a loss that is a mean by weights to one divided by the number of landmarks: (1/Q) Σ w L.

    Losses divide by the sum of their weights (:func:`pipeline.losses.base.masked_mean`), which would make the factor one between
    the faces of a *rank's* share, and another for every number of ranks.

    Args:
        loss: Scalar, Σ w L / Σ w.
        mask_BK: bool.
        weights_BK: w, 0 where masked.
    """
    return loss * (weights_BK.sum() / mask_BK.sum().clamp(min=1))
