"""Recombinator network: the generator of heatmaps.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, section 3.4, tables 1 and 3; after Honari
et al., "Recombinator Networks", CVPR 2016.

Shapes: B batch, K landmarks, c = ``width``, h × w pixels (80 × 80 in the paper, any multiple of 16 here).

Table 1 does not add up to the parameter counts of table 3 (1.8724, 0.4781, 0.1281, 0.0398, 0.0174 M at c =
64, 32, 16, 8, 4). All five fit P(c) = 452c² + 181c + 9452 exactly, and this structure gives that polynomial:

==============  ==========================================  ===================
layers          here                                        parameters
==============  ==========================================  ===================
E1 … E4         3×3, 3→c then c→c, each followed by MAX     27c + c + 3(9c² + c)
bottleneck      two 3×3, c→c, at 1/16 resolution            2(9c² + c)
D4              1×1, c→c                                    c² + c
D3, D2, D1      1×1, 2c→c                                   3(2c² + c)
four D_F        5×5, 2c→2c, after UP and concatenation      4(100c² + 2c)
head            1×1: 2c→K, K→K, K→K                         2cK + K + 2(K² + K)
==============  ==========================================  ===================

Deviations from table 1, with their reasons:

- Two 3×3 convolutions at the coarsest resolution, which the table does not list. The polynomial needs six 3×3
  layers and the table has four. The Recombinator network works on its coarsest branch before recombining;
  there the two cost 1/256 of what they would at full resolution and let every landmark see the whole face.
- Three 1×1 head layers where the table lists two: the polynomial's constant, 9452 = 2(68² + 68) + 68, needs
  three.
- The sizes printed beside the first three D_F (twice their input's) contradict the 1×1 rows that follow them;
  UP is only where the table names it. Skips are taken before MAX: it is the only place where their size meets
  the decoder's.
- Dropout: the text says "after all but the first and last activation", the table puts DROP on E1 and leaves
  it off the first D_F. The text wins. It is element-wise, as "dropout" without a qualifier means: dropping
  whole channels would blind the narrow generators of table 3 to one of four features over the whole face at a
  time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.models.dropout import keep_mask
from pipeline.models.leaky import SLOPE, initialise

BRANCHES = 4


def expected_parameters(width: int, num_landmarks: int) -> int:
    """Trainable parameters of :class:`RCN`; for 68 landmarks this is 452c² + 181c + 9452 (table 3).

    Args:
        width: c, channels of each convolution.
        num_landmarks: K, heatmaps.
    """
    encoder = 28 * width + 5 * (9 * width**2 + width)
    laterals = width**2 + width + 3 * (2 * width**2 + width)
    fusions = 4 * (100 * width**2 + 2 * width)
    head = 2 * width * num_landmarks + num_landmarks + 2 * (num_landmarks**2 + num_landmarks)
    return encoder + laterals + fusions + head


class RCN(nn.Module):
    """4-branch Recombinator network, one heatmap of logits per landmark.

    Args:
        num_landmarks: K, heatmaps to emit.
        width: c, channels of each convolution; 64 is the paper's, 32 … 4 its reduced models.
        dropout: probability of element-wise dropout; 0.2 is the paper's. It starves narrow generators: tune
            it.

    Raises:
        ConfigError: a size below 1, or a dropout outside [0, 1).

    Example:
        >>> RCN(num_landmarks=68, width=4)(torch.rand(2, 3, 80, 80)).shape
        torch.Size([2, 68, 80, 80])
    """

    input_multiple = 2**BRANCHES  # configs are checked against it

    def __init__(self, num_landmarks: int = 68, width: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        if num_landmarks < 1 or width < 1:
            raise ConfigError(f"RCN: num_landmarks ({num_landmarks}) and width ({width}) must be at least 1")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"RCN: dropout is {dropout}; it must be in [0, 1)")
        self.num_landmarks = num_landmarks
        self.width = width
        self.dropout = dropout
        self.encoder = nn.ModuleList(
            nn.Conv2d(3 if level == 0 else width, width, 3, padding=1) for level in range(BRANCHES)
        )
        self.bottleneck = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        # Coarsest first, in the order in which the decoder runs.
        self.laterals = nn.ModuleList(
            nn.Conv2d(width if level == 0 else 2 * width, width, 1) for level in range(BRANCHES)
        )
        self.fusions = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 5, padding=2) for _ in range(BRANCHES))
        self.head = nn.ModuleList(
            nn.Conv2d(2 * width if layer == 0 else num_landmarks, num_landmarks, 1) for layer in range(3)
        )
        self.apply(initialise)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Logits of the heatmaps, before the spatial softmax.

        Args:
            image_B3HW: RGB in [0, 1]; shifted to [-1, 1] here, so callers never normalise. h and w multiples
                of 16.

        Returns:
            logits_BKHW, of the image's height and width.

        Raises:
            ValueError: not a batch of RGB images, or a side that four max-poolings do not divide.
        """
        if image_B3HW.ndim != 4 or image_B3HW.shape[1] != 3 or any(s % 16 for s in image_B3HW.shape[2:]):
            raise ValueError(
                f"RCN needs images (B, 3, h, w) with h and w multiples of 16, not {tuple(image_B3HW.shape)}"
            )
        # Convolutions of few channels run faster with the channels innermost; values are the same.
        features = (image_B3HW * 2.0 - 1.0).contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for level, conv in enumerate(self.encoder):
            features = self._activate(conv(features), drop=level > 0)
            skips.append(features)
            features = F.max_pool2d(features, 2)
        for conv in self.bottleneck:
            features = self._activate(conv(features))
        for lateral, fusion, skip in zip(self.laterals, self.fusions, reversed(skips), strict=True):
            # The 1×1 runs before the upsampling, as in table 1: a quarter of the pixels.
            features = self._activate(lateral(features))
            features = F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
            features = self._activate(fusion(torch.cat((features, skip), dim=1)))
        features = self._activate(_pointwise(self.head[0], features.flatten(2)))
        features = self._activate(_pointwise(self.head[1], features), drop=False)
        return _pointwise(self.head[2], features).unflatten(-1, image_B3HW.shape[2:])

    def _activate(self, features: Tensor, drop: bool = True) -> Tensor:
        # Dropout first: its factors are ≥ 0 and LeakyReLU is positively homogeneous, so the two commute, and
        # in this order both work in place on the convolution's output, which no backward needs.
        if drop and self.training and self.dropout > 0.0:
            features = features.mul_(keep_mask(features, self.dropout))
        return F.leaky_relu(features, SLOPE, inplace=True)


def _pointwise(conv: nn.Module, features_BCN: Tensor) -> Tensor:
    """A 1×1 convolution over flattened pixels: on a CPU, matrix products take a fraction of conv2d's time."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    weight_BKC = conv.weight.flatten(1).expand(features_BCN.shape[0], -1, -1)
    return torch.bmm(weight_BKC, features_BCN).add_(conv.bias[:, None])


MODEL = RCN
