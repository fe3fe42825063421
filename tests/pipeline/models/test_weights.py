import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import ConfigError
from pipeline.models.weights import load_pretrained, without_pretrained


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def saved(tmp_path):
    """A file of a network and a classifier, and what it holds."""
    torch.manual_seed(7)
    source = network()
    source(torch.rand(2, 3, 8, 8))
    state = source.state_dict() | {"fc.weight": torch.rand(2, 4)}
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    return str(path), state


def test_parameters_and_running_statistics_are_those_of_the_file(saved):
    path, state = saved
    filled = network()
    load_pretrained(filled, path, unused=("fc",))
    for name, value in filled.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(value, state[name])
    assert not state["1.running_mean"].eq(0).any()


def test_null_leaves_the_network_as_it_is():
    model = network()
    before = model[0].weight.clone()
    load_pretrained(model, None)
    assert torch.equal(model[0].weight, before)


def test_a_dry_run_checks_the_file_and_reads_nothing(saved):
    path, _ = saved
    with torch.device("meta"):
        model = network()
        load_pretrained(model, path, unused=("fc",))
        assert model[0].weight.is_meta
        with pytest.raises(
            ConfigError, match=r"'0.weight' is \(4, 3, 3, 3\), the network's is \(5, 3, 3, 3\)"
        ):
            load_pretrained(nn.Sequential(nn.Conv2d(3, 5, 3)), path)


def test_the_file_is_not_needed_where_a_checkpoint_follows():
    model = network()
    before = model[0].weight.clone()
    with without_pretrained():
        load_pretrained(model, "gone.safetensors")
    assert torch.equal(model[0].weight, before)
    with pytest.raises(ConfigError, match="no such file"):
        load_pretrained(model, "gone.safetensors")


def test_a_file_that_does_not_fit_is_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(ConfigError, match="holds 'fc.weight', which the network lacks"):
        load_pretrained(network(), path)
    with pytest.raises(ConfigError, match="holds no '2.weight'"):
        load_pretrained(network().append(nn.Conv2d(4, 4, 1)), path, unused=("fc",))
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    with pytest.raises(ConfigError, match="not a safetensors file"):
        load_pretrained(network(), str(text))
