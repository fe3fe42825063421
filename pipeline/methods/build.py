"""The builder of networks and of the methods that supervise and read them, by their names."""

from __future__ import annotations

from torch import nn

from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.models.output import traits
from pipeline.registry import Part, build


def make_generator(model: Part, markup: Markup, input_size: int) -> nn.Module:
    """The network a part names.

    Args:
        model: Name and parameters.
        markup: Its landmarks, and the curves whose edges some networks attend to.
        input_size: Side of the images, px.

    Raises:
        ConfigError: What the registry or the constructor refuses.
    """
    generator: nn.Module = build(
        "model", model, num_landmarks=markup.num_landmarks, markup=markup, input_size=input_size
    )
    return generator


def make_method(
    method: Part,
    loss: Part,
    decoder: Part | None,
    markup: Markup,
    input_size: int,
    generator: nn.Module,
) -> Method:
    """The method for a network.

    Args:
        method: Name and parameters; likewise the next two.
        loss: The supervised loss.
        decoder: None leaves it to the method.
        markup: Of the landmarks.
        input_size: Side of the images, px.
        generator: Only its promises are read.

    Raises:
        ConfigError: Parts that cannot work together, or what a constructor refuses.
    """
    made: Method = build(
        "method",
        method,
        loss=build("loss", loss, markup=markup),
        traits=traits(generator),
        markup=markup,
        input_size=input_size,
        decoder=None if decoder is None else build("decoder", decoder),
    )
    return made
