"""Parts of a package outside of the repository, named from YAML: good ones are taken, broken ones refused by the dry run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
import yaml

from jobs.dry_run import describe
from jobs.settings import experiment
from pipeline.datasets.open import open_reader
from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.training.check import check_parts

PACKAGE = "own_team"
LOSS = """
from pipeline.losses import CoordinateLoss

class Mine(CoordinateLoss):
    def __init__(self, power: float = 2.0) -> None:
        super().__init__()
        self.power = power

    def per_landmark(self, points_BK2, target_BK2, mask_BK=None):
        return (points_BK2 - target_BK2).abs().pow(self.power).sum(-1)

LOSS = Mine
"""
MODEL = """
from torch import nn

class Mine(nn.Module):
    input_multiple = 2

    def __init__(self, num_landmarks: int, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_landmarks, 1))

    def forward(self, images):
        return self.layers(images)

MODEL = Mine
"""
DECODER = """
from pipeline.heatmaps import MeanDecoder, spatial_softmax

class Mine(MeanDecoder):
    reads = "scores"

    def __init__(self, sharpness: float = 2.0) -> None:
        self.sharpness = sharpness

    def weights(self, values_BKHW):
        return spatial_softmax(values_BKHW, self.sharpness)

DECODER = Mine
"""
AUGMENTATION = """
from pipeline.augment.blur import Blur
from pipeline.augment.colour import Colour
from pipeline.augment.compose import Augmentation
from pipeline.augment.geometry import Geometry
from pipeline.augment.occlusion import Occlusion

class Mine(Augmentation):
    def __init__(self, markup, turn: float = 10.0) -> None:
        super().__init__(markup, Geometry(rotation=turn), Colour(), Blur(), Occlusion())

AUGMENTATION = Mine
"""
OBJECTIVE = """
from pipeline.methods.unlabelled.base import UnlabelledObjective, detached

class Mine(UnlabelledObjective):
    def __init__(self, num_landmarks: int, image_size: int, share: float = 1.0) -> None:
        self.share = share

    def generator_loss(self, discriminator, view):
        loss = self.share * view.heatmaps.square().mean()
        return loss, detached(mine=loss)

OBJECTIVE = Mine
"""
OPTIMIZER = """
import torch

def mine(params, lr: float = 0.01, damping: float = 0.5):
    return torch.optim.SGD(params, lr=lr, momentum=damping)

OPTIMIZER = mine
"""
SCHEDULE = """
class Mine:
    def __init__(self, steps: int, last: float = 0.1) -> None:
        self.steps, self.last = steps, last

    def __call__(self, step: int) -> float:
        return 1.0 - (1.0 - self.last) * step / self.steps

SCHEDULE = Mine
"""
READER = """
class Mine:
    markup = None

    def __init__(self, root: str, limit: int = 3) -> None:
        self.root, self.limit = root, limit

    def records(self):
        return []

READER = Mine
"""

# part → its code, and the section of a config that names it.
GOOD = {
    "loss": (LOSS, {"loss": {"power": 1.5}}),
    "model": (MODEL, {"model": {"width": 3}}),
    "decoder": (DECODER, {"decoder": {"sharpness": 3.0}}),
    "augmentation": (AUGMENTATION, {"augmentation": {"turn": 5.0}}),
    "objective": (OBJECTIVE, {"unlabelled": {"objective": {"share": 0.5}}}),
    "optimizer": (OPTIMIZER, {"optimizer": {"damping": 0.25}}),
    "schedule": (SCHEDULE, {"schedule": {"last": 0.5}}),
    "reader": (READER, {"prepare": {"reader": {"root": "faces", "limit": 2}}}),
}
# What is wrong → part, the code that is replaced, and what the dry run says.
BROKEN = {
    "a loss of another signature": (
        "loss", "points_BK2, target_BK2, mask_BK=None", "points_BK2, target_BK2",
        r"loss: loss 'own_team.loss' \(.*loss\.py\) cannot work: TypeError: Mine.per_landmark\(\) takes 3 positional",
    ),
    "a loss of another shape": ("loss", ".sum(-1)", "", r"a value per landmark, \(2, 68\), not \(2, 68, 2\)"),
    "a loss without a gradient": ("loss", "points_BK2 - ", "points_BK2.detach() - ", "one number with a gradient"),
    "a loss that is no number": ("loss", ".pow(self.power)", ".sub(1e9).sqrt()", "loss: .* not finite"),
    "a network of another size": ("model", "padding=1", "padding=0", r"the network gives heatmaps of \(68, "),
    "a network that cannot run": (
        "model", "Conv2d(width, num", "Conv2d(width + 1, num",
        r"model: model 'own_team.model' \(.*model\.py\) cannot work: RuntimeError: .*channels",
    ),
    "a network without landmarks": ("model", "num_landmarks: int, ", "landmarks: int = 68, ", "takes no 'num_landmarks'"),
    "a decoder of nothing": (
        "decoder", "return spatial", "spatial",
        r"decoder: decoder 'own_team.decoder' \(.*decoder\.py\) cannot work|loss: .*AttributeError",
    ),
    "an augmentation that is called otherwise": (
        "augmentation", "AUGMENTATION = Mine", "AUGMENTATION = lambda markup, turn: (lambda batch: batch)",
        r"augmentation: augmentation 'own_team.augmentation' .*TypeError",
    ),
    "an objective without a loss": (
        "objective", "return loss,", "return",
        r"unlabelled.objective: objective 'own_team.objective' \(.*objective\.py\) cannot work: (Type|Value)Error",
    ),
    "an objective that lacks a method": (
        "objective", "def generator_loss", "def generator", "objective 'own_team.objective': TypeError",
    ),
    "an optimizer that torch refuses": ("optimizer", "lr=lr", "lr=-lr", "optimizer 'own_team.optimizer': Invalid learning rate"),
    "an optimizer without a rate": (
        "optimizer", "lr: float = 0.01, ", "", "its constructor takes no 'lr', which the trainer sets",
    ),
    "a schedule of no number": (
        "schedule", "return 1.0", "return None if step else 1.0",
        r"schedule: schedule 'own_team.schedule' .*the factor of step 6 is None",
    ),
    "a reader without records": (
        "reader", "def records", "def faces", "prepare.sets, 'own': reader 'own_team.reader' has no method 'records'",
    ),
    "a reader that wants more": (
        "reader", "root: str", "root: int", "parameter 'root': 'faces': Input should be a valid integer",
    ),
    "a module that cannot be imported": (
        "loss", "from pipeline.losses import", "from pipeline.losses import nothing_such,",
        r"loss 'own_team.loss' cannot be imported: ImportError: cannot import name 'nothing_such'",
    ),
}  # fmt: skip


@pytest.fixture
def own(tmp_path, monkeypatch, toy_experiment) -> Callable[..., str]:
    """Save parts as modules of a package of the user's own, and a YAML that names them; returns its path."""
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def save(parts: dict[str, str]) -> str:
        raw = toy_experiment | {"unlabelled": {"objective": None}}
        for kind, code in parts.items():
            (package / f"{kind}.py").write_text(code)
            ((section, values),) = GOOD[kind][1].items()
            name = f"{PACKAGE}.{kind}"
            if kind == "objective":
                raw[section] = {"objective": values["objective"] | {"name": name}}
            elif kind == "reader":
                entry = {"name": "own", "role": "unlabelled", "reader": values["reader"] | {"reader": name}}
                raw[section] = {"out": str(tmp_path / "sets"), "sets": [entry]}
            else:
                raw[section] = values | {"name": name}
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump(raw))
        return str(path)

    yield save
    for name in [n for n in sys.modules if n.startswith(PACKAGE)]:
        del sys.modules[name]


def dry_run(path: str) -> None:
    """What ``landmarks train PATH --dry-run`` does."""
    describe(experiment(path, []))


def test_a_run_of_nothing_but_own_parts_is_planned(own, capsys):
    dry_run(own({kind: code for kind, (code, _) in GOOD.items()}))
    printed = capsys.readouterr().out
    for line in ("name: own_team.loss", "power: 1.5", "damping: 0.25", "last: 0.5", "sharpness: 3.0"):
        assert line in printed
    assert "356 parameters" in re.sub(
        r"\s+", " ", printed
    )  # 3·9·3 + 3 of the first layer, 68·3 + 68 of the head


def test_an_own_reader_is_opened_with_its_parameters(own):
    own({"reader": READER})
    reader = open_reader({"reader": "own_team.reader", "root": "here", "limit": 7})
    assert (reader.root, reader.limit) == ("here", 7)


@pytest.mark.parametrize("kind", GOOD)
def test_each_alone_goes_with_the_projects_others(own, kind):
    config = experiment(own({kind: GOOD[kind][0]}), [])
    check_parts(config, load_markup("ibug68"), steps=12)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_part_is_refused_before_anything_starts_with_the_reason(own, fault):
    kind, good, bad, message = BROKEN[fault]
    code = GOOD[kind][0]
    assert code.count(good) == 1, "the fault is not in the code"
    with pytest.raises(ConfigError, match=message):
        dry_run(own({kind: code.replace(good, bad)}))
