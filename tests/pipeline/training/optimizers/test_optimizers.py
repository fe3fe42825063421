"""Each optimizer is torch's own with the numbers of its config."""

import pytest
import torch
from torch import nn

from pipeline.registry import Part, build, names

CASES = {
    "adam": (
        {"lr": 0.1, "weight_decay": 0.2, "betas": (0.5, 0.75)},
        lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.2, betas=(0.5, 0.75)),
    ),
    "rmsprop": (
        {"lr": 0.1, "weight_decay": 0.2, "smoothing": 0.5},
        lambda p: torch.optim.RMSprop(p, lr=0.1, weight_decay=0.2, alpha=0.5),
    ),
    "sgd": (
        {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.5},
        lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.2, momentum=0.5, nesterov=True),
    ),
}


def stepped(make) -> torch.Tensor:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make([weight])
    for scale in (1.0, 3.0, -2.0):
        optimizer.zero_grad()
        (weight.square() * scale).sum().backward()
        optimizer.step()
    return weight.detach()


def test_all_are_covered():
    assert names("optimizer") == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_torchs_to_the_bit(name):
    parameters, theirs = CASES[name]
    part = Part.model_validate({"name": name, **parameters})
    assert torch.equal(stepped(lambda p: build("optimizer", part, params=p)), stepped(theirs))


def test_adamw_is_decoupled_adam():
    part = Part.model_validate({"name": "adam", "decoupled": True, "lr": 0.1, "weight_decay": 0.2})
    ours = stepped(lambda p: build("optimizer", part, params=p))
    assert torch.equal(ours, stepped(lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2)))
    plain = Part.model_validate({"name": "adam", "lr": 0.1, "weight_decay": 0.2})
    assert not torch.equal(ours, stepped(lambda p: build("optimizer", plain, params=p)))
