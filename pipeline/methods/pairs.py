"""The rules of which networks, losses and decoders go together."""

from __future__ import annotations

from torch import nn

from pipeline.errors import ConfigError
from pipeline.heatmaps.decoder import Decoder, MeanDecoder
from pipeline.registry import find, names


def refuse_pair(loss: type[nn.Module] | nn.Module, gives: frozenset[str], decoder: Decoder | None) -> None:
    """Refuse a network and a loss, or a decoder, that cannot work together.

    Args:
        loss: Its class or an instance.
        gives: What a stage of the network holds, or the most it can hold.
        decoder: The configured one, if any.

    Raises:
        ConfigError: With the reason and the remedy.
    """
    needs = getattr(loss, "needs", "heatmaps")
    name = loss.__name__ if isinstance(loss, type) else type(loss).__name__
    if "heatmaps" not in gives:
        if needs == "heatmaps":
            raise ConfigError(
                f"loss {name} compares heatmaps, but the network regresses coordinates and has none: choose a generator of "
                "heatmaps (e.g. model.name=hourglass), or a loss on points (e.g. loss.name=smooth_l1)"
            )
        if needs == "covariance" and "cholesky" not in gives:
            raise ConfigError(
                f"loss {name} needs a covariance, but the network regresses points alone: choose a generator of heatmaps (e.g. "
                "model.name=dunet), or a loss on points (e.g. loss.name=smooth_l1)"
            )
        if decoder is not None:
            raise ConfigError(
                f"decoder '{decoder.name}' reads heatmaps, but the network regresses coordinates: set decoder=null"
            )
    elif needs != "heatmaps" and decoder is not None and not isinstance(decoder, MeanDecoder):
        means = [known for known in names("decoder") if issubclass(find("decoder", known), MeanDecoder)]
        raise ConfigError(
            f"loss {name} cannot train through decoder '{decoder.name}', which has no gradient: take one of "
            f"{', '.join(means)}, or a loss on heatmaps"
        )
