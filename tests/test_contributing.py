"""CONTRIBUTING's worked example is real: its loss is found by name, checked, and trains."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.registry import Part, build

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path, monkeypatch) -> str:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL).group(1)
    package = tmp_path / "contributed_by_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "my_loss.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "contributed_by_example.my_loss"
    for name in [n for n in sys.modules if n.startswith("contributed_by_example")]:
        del sys.modules[name]


def test_example_is_found_checked_and_learns(example):
    loss = build("loss", Part(name=example, true_scale=2.0))
    assert loss.true_scale == 2.0
    with pytest.raises(ConfigError, match="did you mean 'true_scale'"):
        build("loss", Part(name=example, true_scal=2.0))
    torch.manual_seed(0)
    logits = torch.zeros(2, 3, 16, 16, requires_grad=True)
    target = torch.rand(2, 3, 2) * 10 + 2
    optimizer = torch.optim.Adam([logits], lr=0.3)
    first = loss(logits, target).item()
    assert first == pytest.approx((7.5 - target).abs().sum(-1).mean().item(), rel=1e-5)
    for _ in range(40):
        optimizer.zero_grad()
        value = loss(logits, target)
        value.backward()
        optimizer.step()
    assert value.item() < 0.3 * first
    assert torch.allclose(loss.draw_true(target, (16, 16)).sum((-1, -2)), torch.ones(2, 3), atol=1e-5)
