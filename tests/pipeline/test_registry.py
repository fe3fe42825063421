"""Parts are found by name, their parameters checked against their constructors."""

import importlib
import pkgutil

import pytest
import torch
from torch import nn

from pipeline.augment.compose import Augmentation
from pipeline.errors import ConfigError
from pipeline.heatmaps.decoder import Decoder
from pipeline.losses.base import HeatmapLoss
from pipeline.losses.coordinates import CoordinateLoss, CovarianceLoss
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.methods.base import Method
from pipeline.methods.unlabelled.base import UnlabelledObjective
from pipeline.models.rcn import RCN
from pipeline.registry import KINDS, Part, build, check, defaults, find, names
from pipeline.training.schedules.base import Schedule

BASES = {
    "model": nn.Module,
    "loss": (HeatmapLoss, CoordinateLoss, CovarianceLoss),
    "method": Method,
    "augmentation": Augmentation,
    "objective": UnlabelledObjective,
    "discriminator": nn.Module,
    "decoder": Decoder,
    "schedule": Schedule,
}


def part(name: str, **parameters) -> Part:
    return Part.model_validate({"name": name, **parameters})


@pytest.mark.parametrize("kind", KINDS)
def test_every_packaged_part_can_be_found(kind):
    package, attribute = KINDS[kind].package, KINDS[kind].attribute
    modules = [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    defining = {m for m in modules if hasattr(importlib.import_module(f"{package}.{m}"), attribute)}
    assert names(kind) == sorted(defining)
    assert defining, f"no {kind} at all"
    for name in names(kind):
        found = find(kind, name)
        if kind in BASES:
            assert issubclass(found, BASES[kind])
        assert found.__module__ == f"{package}.{name}", "the part is defined where its name says"


def test_the_papers_parts_are_there():
    assert find("model", "rcn") is RCN
    assert find("loss", "laplace_kl") is LaplaceKL
    assert {"laplace_kl", "gaussian_kl", "softargmax_l2"} <= set(names("loss"))
    assert "patchgan" in names("discriminator")
    assert "patchgan" not in names("model")
    assert "base" not in names("loss")


def test_an_unknown_name_gets_its_nearest_match_and_all_names():
    with pytest.raises(ConfigError, match="no loss named 'laplace_k1': did you mean 'laplace_kl'?") as caught:
        find("loss", "laplace_k1")
    for name in names("loss"):
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["zzzzzz", "base", "", "no.such.module", "json.decoder", ".", "a b"])
def test_what_is_no_part_is_refused(name):
    with pytest.raises(ConfigError, match="no loss named") as caught:
        find("loss", name)
    assert "known ones are" in str(caught.value)


MINE = """
import torch
from pipeline.losses.laplace_kl import LaplaceKL

class Mine(LaplaceKL):
    def __init__(self, strength: float, kind: str = "a", beta: float = 1.0) -> None:
        if strength < 0:
            raise ValueError("strength must not be negative")
        super().__init__(beta=beta)
        self.strength, self.kind = strength, kind

LOSS = Mine
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    package = tmp_path / "my_team_parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "focal.py").write_text(MINE)
    (package / "lacks.py").write_text("import a_module_nobody_has\n")
    (package / "typo.py").write_text("import math\nmath.no_such_function\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return "my_team_parts.focal"


def test_a_module_of_the_users_own(mine):
    loss = build("loss", part(mine, strength=2, beta=0.5))
    assert (loss.strength, loss.kind, loss.beta) == (2.0, "a", 0.5)
    with pytest.raises(ConfigError, match="no model named 'my_team_parts.focal'"):
        find("model", mine)


def test_an_error_inside_a_users_module_is_not_taken_for_its_absence(mine):
    with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError: .*'a_module_nobody_has'"):
        find("loss", "my_team_parts.lacks")
    with pytest.raises(ConfigError, match=r"AttributeError: .*'no_such_function' \(.*typo.py, line 2\)"):
        find("loss", "my_team_parts.typo")


def test_parameters_are_checked_and_defaults_filled_in(mine):
    assert check("loss", part(mine, strength=2)) == {"strength": 2.0, "kind": "a", "beta": 1.0}
    assert isinstance(check("loss", part(mine, strength=2))["strength"], float)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "loss 'my_team_parts.focal' needs parameter 'strength'"),
        (
            {"strenght": 1.0},
            r"has no parameter 'strenght'; did you mean 'strength'\? \(it has: strength, kind, beta\)",
        ),
        ({"strength": 1, "zzz": 1}, r"has no parameter 'zzz' \(it has: strength, kind, beta\)"),
        ({"strength": "strong"}, "parameter 'strength': 'strong': Input should be a valid number"),
        ({"strength": 1, "kind": 3}, "parameter 'kind': 3: Input should be a valid string"),
    ],
)
def test_wrong_parameters_are_named(mine, parameters, message):
    with pytest.raises(ConfigError, match=message):
        check("loss", part(mine, **parameters))


def test_what_a_constructor_refuses_is_said_with_the_part(mine):
    with pytest.raises(ConfigError, match="loss 'my_team_parts.focal': strength must not be negative"):
        build("loss", part(mine, strength=-1))


def test_what_the_trainer_supplies_cannot_be_configured():
    assert check("model", part("rcn", width=4)) == {"width": 4, "dropout": 0.2}
    with pytest.raises(ConfigError, match="model 'rcn' has no parameter 'num_landmarks'"):
        check("model", part("rcn", num_landmarks=5))
    with pytest.raises(ConfigError, match="has no parameter 'num_landmarks'"):
        build("model", part("rcn", num_landmarks=5), num_landmarks=68)


def test_a_built_part_has_what_was_asked_for():
    model = build("model", part("rcn", width=4, dropout=0.0), num_landmarks=5)
    assert (model.width, model.dropout, model.num_landmarks) == (4, 0.0, 5)


def test_a_part_without_a_constructor_of_its_own_needs_nothing():
    # Its signature is torch's (*args, **kwargs), neither of which is a parameter.
    assert check("loss", Part(name="l1")) == {}
    with pytest.raises(ConfigError, match="has no parameter 'args'"):
        check("loss", Part.model_validate({"name": "l1", "args": 1}))


def test_what_a_kind_is_given_and_offered_is_said_once_and_every_part_goes_with_it():
    """The trainer's own arguments are no parameters of any packaged part, and all that is given is taken."""
    for kind, row in KINDS.items():
        for name in names(kind):
            assert not (row.given | row.offered) & defaults(kind, name).keys()
    with pytest.raises(ConfigError, match="loss 'adl' has no parameter 'markup'"):
        check("loss", part("adl", markup="ibug68"))


def test_a_constructor_that_does_not_take_what_its_kind_is_given_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "my_team_given"
    package.mkdir()
    (package / "net.py").write_text("class Net:\n    def __init__(self, landmarks): ...\n\nMODEL = Net\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ConfigError, match=r"takes no 'num_landmarks', which every model is given: add it in .*net\.py"
    ):
        check("model", part("my_team_given.net"))


def test_torchs_own_optimizers_are_parts_as_they_are(tmp_path, monkeypatch):
    package = tmp_path / "my_team_torch"
    package.mkdir()
    (package / "nadam.py").write_text("import torch\n\nOPTIMIZER = torch.optim.NAdam\n")
    monkeypatch.syspath_prepend(tmp_path)
    weights = [nn.Parameter(torch.zeros(2))]
    optimizer = build("optimizer", part("my_team_torch.nadam", lr=0.5, momentum_decay=0.25), params=weights)
    assert isinstance(optimizer, torch.optim.NAdam)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum_decay"]) == (0.5, 0.25)
