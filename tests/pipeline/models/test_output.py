import pytest
import torch

from pipeline.models.hourglass import StackedHourglass
from pipeline.models.output import Output, Stage, Traits, as_output, check_images, joined, traits
from pipeline.models.rcn import RCN


def test_a_plain_tensor_is_one_stage_at_stride_one():
    logits = torch.rand(2, 5, 8, 8)
    output = as_output(logits)
    assert output.last.heatmaps is logits
    assert (len(output.stages), output.stride, output.gives) == (1, 1, {"heatmaps"})
    assert as_output(output) is output


def test_split_takes_every_part_of_every_stage_apart():
    stages = tuple(
        Stage(heatmaps=torch.rand(5, 3, 4, 4), cholesky=torch.rand(5, 3, 3), edges=torch.rand(5, 2, 4, 4))
        for _ in range(2)
    )
    output = Output(stages, 4)
    first, second = output.split([2, 3])
    assert first.stride == second.stride == 4
    assert first.gives == output.gives == {"heatmaps", "cholesky", "edges"}
    for stage, a, b in zip(stages, first.stages, second.stages, strict=True):
        for name in output.gives:
            assert torch.equal(torch.cat([getattr(a, name), getattr(b, name)]), getattr(stage, name))
        assert a.points is None
    assert len(first.last.heatmaps) == 2
    again = joined([first, second])
    assert (again.stride, again.gives) == (4, output.gives)
    for stage, whole in zip(again.stages, stages, strict=True):
        assert all(torch.equal(getattr(stage, name), getattr(whole, name)) for name in output.gives)


def test_map_reaches_every_tensor():
    heatmaps = torch.rand(1, 2, 3, 3, requires_grad=True)
    output = Output((Stage(heatmaps=heatmaps * 2), Stage(heatmaps=heatmaps * 3)), 2).map(torch.Tensor.detach)
    assert not any(stage.heatmaps.requires_grad for stage in output.stages)
    torch.testing.assert_close(output.last.heatmaps, heatmaps.detach() * 3)
    assert output.stride == 2


def test_traits_of_a_silent_model_a_class_and_an_instance():
    assert traits(RCN) == Traits(frozenset({"heatmaps"}), 1, 16)
    most = traits(StackedHourglass)
    with torch.device("meta"):
        exact = traits(StackedHourglass(5, 1, 8, levels=2, stride=2))
    assert exact == Traits(frozenset({"heatmaps"}), 2, 8)
    assert exact.gives <= most.gives
    assert exact.input_multiple % most.input_multiple == 0


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 60)])
def test_images_that_cannot_work_are_refused(shape):
    with pytest.raises(ValueError, match="Net needs images .* multiples of 8"):
        check_images(torch.zeros(shape), 8, "Net")
    check_images(torch.zeros(1, 3, 64, 64), 8, "Net")
