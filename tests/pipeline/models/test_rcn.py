import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.models.rcn import MODEL, RCN, SLOPE, expected_parameters


@pytest.mark.parametrize(
    ("width", "parameters"), [(64, 1_872_428), (32, 478_092), (16, 128_060), (8, 39_828), (4, 17_408)]
)
def test_parameter_counts_are_those_of_table_3(width, parameters):
    model = RCN(68, width)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == parameters
    assert expected_parameters(width, 68) == parameters
    assert not list(model.buffers())


@pytest.mark.parametrize(("width", "landmarks"), [(3, 1), (4, 19), (5, 98)])
def test_parameter_count_for_other_markups(width, landmarks):
    assert sum(p.numel() for p in RCN(landmarks, width).parameters()) == expected_parameters(width, landmarks)


@pytest.mark.parametrize(("batch", "size"), [(1, (80, 80)), (2, (16, 48)), (3, (64, 32))])
def test_output_has_the_size_of_the_input(batch, size):
    assert RCN(5, 4)(torch.rand(batch, 3, *size)).shape == (batch, 5, *size)


@pytest.mark.parametrize("shape", [(1, 3, 80, 72), (1, 1, 80, 80), (3, 80, 80)])
def test_an_image_that_cannot_work_says_why(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        RCN(5, 4)(torch.rand(shape))


@pytest.mark.parametrize("bad", [{"dropout": 1.0}, {"dropout": -0.1}, {"width": 0}, {"num_landmarks": 0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ConfigError, match="RCN"):
        RCN(**bad)


def plain_forward(model, image, activations=None):
    """The same network, layer by layer in its textbook form: conv2d everywhere, LeakyReLU, no tricks."""

    def activate(x):
        x = F.leaky_relu(x, SLOPE)
        if activations is not None:
            activations.append(x)
        return x

    x = image * 2 - 1
    skips = []
    for conv in model.encoder:
        x = activate(conv(x))
        skips.append(x)
        x = F.max_pool2d(x, 2)
    for conv in model.bottleneck:
        x = activate(conv(x))
    for lateral, fusion in zip(model.laterals, model.fusions, strict=True):
        x = F.interpolate(activate(lateral(x)), scale_factor=2, mode="bilinear")
        x = activate(fusion(torch.cat([x, skips.pop()], dim=1)))
    return model.head[2](activate(model.head[1](activate(model.head[0](x)))))


def test_fast_forward_equals_the_textbook_form_in_value_and_gradient():
    torch.manual_seed(0)
    model = RCN(7, 4, dropout=0.0).double()
    image = torch.rand(2, 3, 32, 48, dtype=torch.float64, requires_grad=True)
    probe = torch.randn(2, 7, 32, 48, dtype=torch.float64)
    inputs = [image, *model.parameters()]
    for conv in model.modules():
        if isinstance(conv, torch.nn.Conv2d):
            torch.nn.init.normal_(conv.bias)
    fast, plain = model(image), plain_forward(model, image)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(
        torch.autograd.grad((fast * probe).sum(), inputs), torch.autograd.grad((plain * probe).sum(), inputs)
    )


def test_dropout_is_off_in_evaluation_and_on_in_training():
    torch.manual_seed(0)
    model = RCN(5, 4, dropout=0.2)
    image = torch.rand(1, 3, 32, 32)
    assert not torch.equal(model(image), model(image))
    model.eval()
    torch.testing.assert_close(model(image), plain_forward(model, image))


def test_dropout_follows_the_global_seed():
    model = RCN(5, 4, dropout=0.2)
    image = torch.rand(1, 3, 32, 32)
    torch.manual_seed(3)
    first = model(image)
    torch.manual_seed(3)
    assert torch.equal(first, model(image))


def test_dropout_after_all_but_the_first_and_last_activation(monkeypatch):
    model = RCN(5, 4, dropout=0.2)
    image = torch.rand(1, 3, 32, 32)
    activations = []
    plain_forward(model, image, activations)
    dropped = []

    def record(like, probability):
        dropped.append(like.numel())
        assert probability == 0.2
        return torch.ones_like(like)

    monkeypatch.setattr("pipeline.models.rcn.keep_mask", record)
    model(image)
    assert len(activations) == 16
    assert dropped == [a.numel() for a in activations[1:-1]]


def test_initialisation_keeps_the_activations_in_scale():
    torch.manual_seed(0)
    model = RCN(68, 64, dropout=0.0)
    activations = []
    with torch.no_grad():
        plain_forward(model, torch.rand(2, 3, 80, 80), activations)
    scales = [a.square().mean().sqrt().item() for a in activations]
    assert all(0.1 < scale < 10 for scale in scales), scales
    assert all(conv.bias.eq(0).all() for conv in model.modules() if isinstance(conv, torch.nn.Conv2d))


def test_every_parameter_gets_a_gradient():
    model = RCN(5, 4)
    model(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_it_learns_a_dot():
    torch.manual_seed(0)
    model = RCN(1, 4, dropout=0.0)
    image = torch.zeros(4, 3, 16, 16)
    rows, columns = torch.tensor([2, 5, 9, 13]), torch.tensor([3, 12, 7, 4])
    image[torch.arange(4), :, rows, columns] = 1.0
    label = rows * 16 + columns
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(image).flatten(1), label)
        loss.backward()
        optimizer.step()
    assert model(image).flatten(1).argmax(1).tolist() == label.tolist()


def test_found_by_name():
    assert MODEL is RCN
