"""A batch through a network in micro-batches, of which one alone has its activations in memory: gradient accumulation.

Usual accumulation takes the loss of each micro-batch for itself and adds up gradients. A mean over the landmarks that are known
is then no longer the mean over the batch's, and a share of the supervised gradient (:mod:`pipeline.training.balance_gradients`)
would be another for every micro-batch. So the cut is made at the network's output instead, as in Gao et al., "Scaling Deep
Contrastive Learning Batch Size under Memory Limited Setup" (GradCache), RepL4NLP 2021: the outputs of all micro-batches together
are one output, on which every loss is what it is without accumulation. Backward, each micro-batch is computed once more, its
gradients are added to the others', and its activations are let go. Everything else about a step stays as it is, at every ZeRO
stage: one backward, one reduction over the ranks, one update.

It costs one more forward: a third of a step, and more where a micro-batch is too small to fill the machine. In memory remain the
outputs of the whole share, with the losses on them. Forward and backward of 16 images on a CPU took, over what was there before,
447 MiB at once, 316 in 4 and 253 in 16 micro-batches with an hourglass of width 128, whose heatmaps are small; 519 MiB at once
and 305 in 8 with RCN at c = 64, whose heatmaps are as large as the image; and 311 in any number at c = 16, which is mostly
heatmaps.

Every n-th image is of the same micro-batch: each has its part of the labelled and of the unlabelled faces. The second pass draws
the random numbers of the first and starts from the buffers that the first had; it leaves no trace in running statistics. **Batch
normalisation** in training takes its moments from a micro-batch, as it takes them from a rank's share without accumulation, and
its running statistics move once with each micro-batch: with it, and with networks that draw random numbers (dropout), n is a
setting of the experiment. Without them, a step is the same to rounding for every n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.models.output import Output, joined

Network = Callable[[Tensor], Any]
_Buffer = tuple[nn.Module, str, Tensor]


@dataclass(frozen=True)
class MicroBatches:
    """A network that is called with a batch and runs on micro-batches of it.

    Attributes:
        call: The network's first pass: its engine.
        again: The second: the same network past the engine, which is in the middle of its backward then.
        network: Whose buffers they read and write.
        parts: n; a batch of fewer images has as many micro-batches.
    """

    call: Network
    again: Network
    network: nn.Module
    parts: int

    @property
    def module(self) -> MicroBatches:
        """The network as it is, in micro-batches as well: what an objective asks an engine for."""
        return MicroBatches(self.network, self.network, self.network, self.parts)

    def __call__(self, batch_BCHW: Tensor) -> Any:
        """What the network returns for the whole batch: a tensor, or an :class:`~pipeline.models.output.Output`."""
        parts = min(self.parts, len(batch_BCHW))
        results = [self._run(batch_BCHW[start::parts].contiguous()) for start in range(parts)]
        places_B = torch.cat([torch.arange(start, len(batch_BCHW), parts) for start in range(parts)])
        order_B = places_B.argsort().to(batch_BCHW.device)
        if isinstance(results[0], Output):
            return joined(results).map(lambda tensor: tensor[order_B])
        return torch.cat(results)[order_B]

    def _run(self, images_BCHW: Tensor) -> Any:
        passes = _Passes(self)
        return checkpoint(passes, images_BCHW, use_reentrant=False, context_fn=passes.contexts)


class _Passes:
    """The passes of one micro-batch; within the context it is a later one, of which a penalty on gradients takes two."""

    def __init__(self, of: MicroBatches) -> None:
        self._network, self._call, self._first, self._again = of.network, of.call, of.call, of.again
        self._buffers = [(owner, name, buffer.clone()) for owner, name, buffer in _buffers(of.network)]
        self._present: list[_Buffer] = []

    def __call__(self, images_BCHW: Tensor) -> Any:
        return self._call(images_BCHW)

    def contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """Of the first pass and of later ones."""
        return nullcontext(), self

    def __enter__(self) -> None:
        self._present = list(_buffers(self._network))
        self._call = self._again
        _put((owner, name, buffer.clone()) for owner, name, buffer in self._buffers)

    def __exit__(self, *_: object) -> None:
        self._call = self._first
        _put(self._present)


def _buffers(network: nn.Module) -> Iterator[_Buffer]:
    for owner in network.modules():
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                yield owner, name, buffer


def _put(buffers: Iterable[_Buffer]) -> None:
    for owner, name, buffer in buffers:
        owner._buffers[name] = buffer
