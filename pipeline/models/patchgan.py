"""PatchGAN: the discriminator of (image, heatmaps) pairs.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, section 3.4; PatchGAN after Isola et al.,
"Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017; noise after Tulyakov et al.,
"MoCoGAN", CVPR 2018.

Shapes: B batch, C = 3 + K channels, the image stacked on its K heatmaps (plus a validity mask where a method
adds one).

What the paper leaves open, and the choice made here:

- Kernels and strides: 4×4, padding 1, stride 2 but for the last two layers of stride 1, as pix2pix. Four
  layers on 80×80 then judge 18×18 patches of 34 px: about an eye, a nose or a mouth with its heatmaps, and
  324 votes per face.
- Channels double from layer to layer, up to 8 × ``width``, as pix2pix.
- "All but the top and bottom layers" have batch norm: the first and the last have none.

Not in the paper: ``spectral_norm`` (Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018)
bounds how fast D can change, on every convolution; batch norm, whose scale would undo the bound, is then left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalise_spectrum

from pipeline.errors import ConfigError
from pipeline.models.leaky import SLOPE, initialise


class GaussianNoise(nn.Module):
    """Adds N(0, ``sigma``²) in training mode, from the global generator; the identity in evaluation mode.

    Args:
        sigma: standard deviation, in units of the input.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, with noise in training mode."""
        return x + self.sigma * torch.randn_like(x) if self.training and self.sigma > 0.0 else x

    def extra_repr(self) -> str:
        """Show sigma in the module's printout."""
        return f"sigma={self.sigma}"


class PatchGAN(nn.Module):
    """Fully convolutional discriminator; each output is the logit that its patch is real.

    Args:
        in_channels: channels of the stacked image and heatmaps.
        width: channels of the first layer.
        layers: convolutions, the last two of stride 1; 4 is the paper's.
        noise: σ of the Gaussian noise before every convolution; 0.2 is the paper's.
        spectral_norm: divide every convolution's weights by their largest singular value, instead of batch norm.

    Raises:
        ConfigError: fewer than 2 layers, a size below 1, or a negative noise.

    Example:
        >>> PatchGAN(in_channels=71, width=8)(torch.rand(2, 71, 80, 80)).shape
        torch.Size([2, 1, 18, 18])
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        layers: int = 4,
        noise: float = 0.2,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        if in_channels < 1 or width < 1:
            raise ConfigError(f"PatchGAN: in_channels ({in_channels}) and width ({width}) must be at least 1")
        if layers < 2:
            raise ConfigError(f"PatchGAN: layers is {layers}; it takes at least 2, a first and a last")
        if noise < 0.0:
            raise ConfigError(f"PatchGAN: noise is {noise}; a standard deviation cannot be negative")
        blocks: list[nn.Module] = []
        channels = in_channels
        for layer in range(layers):
            first, last = layer == 0, layer == layers - 1
            out_channels = 1 if last else width * min(2**layer, 8)
            stride = 1 if layer >= layers - 2 else 2
            normalised = not (first or last or spectral_norm)
            # A bias before batch norm would be subtracted again with the mean.
            blocks.append(GaussianNoise(noise))
            blocks.append(nn.Conv2d(channels, out_channels, 4, stride, padding=1, bias=not normalised))
            if normalised:
                blocks.append(nn.BatchNorm2d(out_channels))
            if not last:
                blocks.append(nn.LeakyReLU(SLOPE, inplace=True))
            channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.apply(initialise)
        if spectral_norm:
            for block in self.blocks:
                if isinstance(block, nn.Conv2d):
                    normalise_spectrum(block)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Patch logits.

        Args:
            x_BCHW: image in [0, 1] stacked on heatmaps.

        Returns:
            logits (B, 1, h', w'), positive for real; 18 × 18 for four layers on 80 × 80.
        """
        return self.blocks(x_BCHW)


DISCRIMINATOR = PatchGAN
