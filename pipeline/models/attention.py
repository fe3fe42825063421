"""Heads that turn features into a stage, with ADNet's anisotropic attention (AAM) and its two ablations.

Source: Huang et al., "ADNet", ICCV 2021, section 3.2, eqs. 7 and 9, table 5 (PAM: points alone, EAM: edges alone).

Shapes: features (B, C, h, w) → heatmaps and point maps (B, K, h, w), edges (B, E, h, w), E the curves of the markup.

    H_point-edge = H_point ⊗ H_edge (eq. 7),        P = softargmax(H_landmarks ⊗ H_point-edge) (eq. 9)

What the paper leaves open, and the choice made here:

- The mask of a landmark uses the edges it lies on: the larger of them where it lies on several (their sum would
  exceed 1 there), and 1 everywhere where it lies on none, so that such a landmark is masked by its point map alone.
- Point and edge maps are in [0, 1] by a sigmoid: AWing compares them with targets of that range.
- ``masking = product`` is eq. 9 as it stands. A product with scores of either sign would favour the masked places
  over the negative ones, so the scores are first normalised over each heatmap and rectified, as in the authors' code;
  read such heatmaps by their ReLU mean, as there, or by softargmax with a large β.
- ``masking = log`` adds log(H_point-edge) to the scores: their softmax is then the masked and renormalised softmax. It is
  for losses on normalised heatmaps (LaplaceKL, Wasserstein, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.markup import Curve
from pipeline.models.output import Stage

Attention = Literal["none", "point", "edge", "point_edge"]
Masking = Literal["product", "log"]


class Head(NamedTuple):
    """What a head computes.

    Attributes:
        stage: for the losses.
        maps: heatmaps before the mask, edges and point maps, those that are there: what the next stack is given.
    """

    stage: Stage
    maps: list[Tensor]


def edge_mask(edges_BEHW: Tensor, of_landmark_KM: Tensor, neutral: float = 1.0) -> Tensor:
    """Of every landmark, the largest of the edges it lies on.

    Args:
        edges_BEHW: edge maps, or their logarithms.
        of_landmark_KM: indices of the edges of each landmark; E stands for no edge.
        neutral: what "no edge" holds: 1, or 0 for logarithms.

    Returns:
        mask_BKHW.
    """
    neutral_B1HW = edges_BEHW.new_full((edges_BEHW.shape[0], 1, *edges_BEHW.shape[2:]), neutral)
    padded = torch.cat((edges_BEHW, neutral_B1HW), dim=1)
    masks = [padded[:, column_K] for column_K in of_landmark_KM.unbind(1)]
    return masks[0] if len(masks) == 1 else torch.stack(masks).amax(0)


def edges_of_landmarks(num_landmarks: int, curves: Sequence[Curve]) -> Tensor:
    """Indices (K, M) of the curves on which each landmark lies; len(curves) where there is none.

    A landmark on fewer than M curves has its first repeated.
    """
    lists = [
        [e for e, curve in enumerate(curves) if k in curve.indices] or [len(curves)]
        for k in range(num_landmarks)
    ]
    most = max(map(len, lists))
    return torch.tensor([edges + edges[:1] * (most - len(edges)) for edges in lists])


class AttentionHead(nn.Module):
    """1×1 convolutions from features to landmark, edge and point maps, and the mask between them.

    Args:
        in_channels: of the features.
        num_landmarks: K.
        attention: ``none``, ``point`` (PAM), ``edge`` (EAM) or ``point_edge`` (AAM).
        curves: of the markup, for attention on edges.
        masking: how the mask is applied.

    Raises:
        ConfigError: an unknown value, or attention on edges for a markup without curves.
    """

    of_landmark_KM: Tensor

    def __init__(
        self,
        in_channels: int,
        num_landmarks: int,
        attention: Attention = "none",
        curves: Sequence[Curve] = (),
        masking: Masking = "product",
    ) -> None:
        super().__init__()
        for name, value, known in (("attention", attention, Attention), ("masking", masking, Masking)):
            if value not in get_args(known):
                raise ConfigError(f"{name} is '{value}': choose from {', '.join(get_args(known))}")
        self.masked = attention != "none"
        self.masking = masking
        with_edges = attention in ("edge", "point_edge")
        if with_edges and not curves:
            raise ConfigError(f"attention = {attention}: the markup has no curves to draw edges from")
        # Instance norm would subtract a bias.
        rectified = self.masked and masking == "product"
        self.heatmaps = nn.Conv2d(in_channels, num_landmarks, 1, bias=not rectified)
        self.edges = nn.Conv2d(in_channels, len(curves), 1) if with_edges else None
        self.point_maps = (
            nn.Conv2d(in_channels, num_landmarks, 1) if attention in ("point", "point_edge") else None
        )
        if with_edges:
            # Saved with the weights: they belong to this markup.
            self.register_buffer("of_landmark_KM", edges_of_landmarks(num_landmarks, curves))

    @property
    def gives(self) -> frozenset[str]:
        """Parts of the stage."""
        there = {"heatmaps": True, "edges": self.edges is not None, "point_maps": self.point_maps is not None}
        return frozenset(name for name, is_there in there.items() if is_there)

    @property
    def map_channels(self) -> list[int]:
        """Channels of each of :attr:`Head.maps`."""
        layers = (self.heatmaps, self.edges, self.point_maps)
        return [layer.out_channels for layer in layers if layer is not None]

    def forward(self, features_BCHW: Tensor) -> Head:
        """Compute a stage and the maps for the next stack."""
        scores = self.heatmaps(features_BCHW)
        edges = None if self.edges is None else self.edges(features_BCHW)
        points = None if self.point_maps is None else self.point_maps(features_BCHW)
        edge_maps = None if edges is None else edges.sigmoid()
        point_maps = None if points is None else points.sigmoid()
        heatmaps = scores
        if self.masked and self.masking == "product":
            scores = heatmaps = F.instance_norm(scores).relu()
            if point_maps is not None:
                heatmaps = heatmaps * point_maps
            if edge_maps is not None:
                heatmaps = heatmaps * edge_mask(edge_maps, self.of_landmark_KM)
        elif self.masked:
            # The logarithm of the sigmoid, not of its value: that would be −∞ far from an edge.
            if points is not None:
                heatmaps = heatmaps + F.logsigmoid(points)
            if edges is not None:
                heatmaps = heatmaps + edge_mask(F.logsigmoid(edges), self.of_landmark_KM, neutral=0.0)
        stage = Stage(heatmaps=heatmaps, edges=edge_maps, point_maps=point_maps)
        return Head(stage, [m for m in (scores, edge_maps, point_maps) if m is not None])
