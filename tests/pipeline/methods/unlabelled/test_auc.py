import pytest
import torch

from pipeline.methods.unlabelled.auc import auc


def test_by_hand():
    # Pairs: 2 > 1, 2 = 2, 3 > 1, 3 > 2.
    assert auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0])) == 3.5 / 4
    assert auc(torch.tensor([1.0]), torch.tensor([0.0, 2.0])) == 0.5
    assert auc(torch.tensor([5.0, 6.0]), torch.tensor([1.0])) == 1.0
    assert auc(torch.tensor([1.0]), torch.tensor([5.0, 6.0])) == 0.0
    assert auc(torch.ones(3), torch.ones(5)) == 0.5


def test_is_the_area_under_the_curve():
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(40, generator=generator) + 0.7, torch.randn(30, generator=generator)
    thresholds = torch.cat([positive, negative]).sort(descending=True).values
    hits = [0.0] + [float((positive >= t).double().mean()) for t in thresholds]
    alarms = [0.0] + [float((negative >= t).double().mean()) for t in thresholds]
    area = sum((alarms[i + 1] - alarms[i]) * (hits[i + 1] + hits[i]) / 2 for i in range(len(thresholds)))
    assert auc(positive, negative) == pytest.approx(area, rel=1e-9)
