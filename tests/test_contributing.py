"""CONTRIBUTING's worked examples are real: each is found by name, checked, and does what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from jobs.prepare import prepare
from jobs.settings import experiment, prepare_config
from pipeline.datasets.open import open_reader
from pipeline.errors import ConfigError, DataError
from pipeline.heatmaps.decode import mean
from pipeline.heatmaps.stride import to_cells, to_pixels
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.unlabelled.weights import Weight
from pipeline.models.output import traits
from pipeline.registry import Part, build
from pipeline.shards.device import DeviceBatch
from pipeline.shards.manifest import SampleMeta
from pipeline.shards.read import iterate_shard
from pipeline.shards.verify import verify
from pipeline.training.step import Stepper, Teaching

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(language: str, title: str) -> list[str]:
    """Code of a language in the part of the text that a bold title opens, up to the next."""
    (section,) = re.findall(rf"^\*\*{title}\*\*:(.*?)(?=^\*\*|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Save a title's Python as a module of a package of one's own; returns the module's name."""
    package = tmp_path / "contributed_by_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def save(title: str, module: str) -> str:
        (code,) = blocks("python", title)
        (package / f"{module}.py").write_text(code)
        return f"contributed_by_example.{module}"

    yield save
    for name in [n for n in sys.modules if n.startswith("contributed_by_example")]:
        del sys.modules[name]


def test_the_loss_is_found_checked_and_learns(example):
    name = example("A loss", "my_loss")
    loss = build("loss", Part(name=name, true_scale=2.0))
    assert loss.true_scale == 2.0
    with pytest.raises(ConfigError, match="did you mean 'true_scale'"):
        build("loss", Part(name=name, true_scal=2.0))
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


def test_the_decoder_reads_a_peak_and_leaves_out_what_is_far_below_it(example):
    decoder = build("decoder", Part(name=example("A decoder", "my_decoder"), share=0.2))
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    peak = -((x - 14.0) ** 2 + (y - 17.0) ** 2) / 8
    weaker = -((x - 3.0) ** 2 + (y - 3.0) ** 2) / 8 - 2.0  # e⁻² of the peak: below a fifth
    scores = torch.logaddexp(peak, weaker)[None, None]
    points = decoder(scores, scores)
    torch.testing.assert_close(points, torch.tensor([[[14.0, 17.0]]]), atol=1e-2, rtol=0)


def test_the_optimizer_takes_its_parameters_and_steps(example):
    name = example("An optimizer", "my_optimizer")
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = build("optimizer", Part(name=name, lr=0.5, momentum_decay=0.1), params=[weight])
    assert optimizer.param_groups[0]["momentum_decay"] == 0.1
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).all()
    with pytest.raises(ConfigError, match="has no parameter 'momentum_decai'; did you mean"):
        build("optimizer", Part(name=name, momentum_decai=0.1), params=[weight])


def test_the_schedule_warms_up_and_falls_in_a_line(example):
    schedule = build("schedule", Part(name=example("A schedule", "my_schedule"), warmup_steps=4), steps=24)
    assert [schedule(step) for step in (0, 3, 4, 14)] == pytest.approx([0.25, 1.0, 1.0, 0.5])


def test_the_model_is_found_checked_and_learns(example, tmp_path):
    name = example("A model", "my_model")
    (text,) = blocks("yaml", "A model")
    path = tmp_path / "my_model.yaml"
    path.write_text(text.replace("pieces/", f"{ROOT}/configs/pieces/").replace("my_model,", f"{name},"))
    config = experiment(str(path), [])
    assert config.model.parameters == {"width": 32}
    with pytest.raises(ConfigError, match=r"has no parameter 'widht'; did you mean 'width'"):
        build("model", Part(name=name, widht=8), num_landmarks=3)

    model = build("model", config.model, num_landmarks=3)
    promised = traits(model)
    images = torch.zeros(4, 3, config.input_size, config.input_size)
    target = 16 + 48 * torch.rand(4, 3, 2)
    for image, points in zip(images, target, strict=True):
        for channel, (x, y) in zip(image, points.long().tolist(), strict=True):
            channel[y - 3 : y + 4, x - 3 : x + 4] = 1.0
    loss = build("loss", config.loss)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def error() -> float:
        output = model(images)
        assert output.gives == promised.gives
        assert output.last.heatmaps.shape == (4, 3, config.input_size // 4, config.input_size // 4)
        p = output.last.heatmaps.flatten(2).softmax(-1).view_as(output.last.heatmaps)
        return (to_pixels(mean(p), output.stride) - target).norm(dim=-1).mean().item()

    before = error()
    for _ in range(60):
        optimizer.zero_grad()
        loss(model(images).last.heatmaps, to_cells(target, promised.stride)).backward()
        optimizer.step()
    assert error() < 0.2 * before


def test_the_data_set_is_found_checked_and_prepared(example, tmp_path):
    name = example("A data set", "my_faces")
    rng = np.random.default_rng(0)
    points = np.array([[30, 30], [60, 30], [45, 45], [34, 60], [56, 60]]) + rng.normal(0, 1, (6, 5, 2))
    (tmp_path / "images").mkdir()
    rows = []
    for index, points_52 in enumerate(points.round(2)):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / "images" / f"{index}.png")
        rows.append(" ".join([f"{index}.png", *(f"{value + 1:.2f}" for value in points_52.ravel())]))
    (tmp_path / "faces.txt").write_text("\n".join(rows) + "\n")

    (text,) = blocks("yaml", "A data set")
    raw = yaml.safe_load(text)
    (entry,) = raw["prepare"]["sets"]
    assert entry["reader"]["reader"] == "my_faces"
    entry["reader"] |= {"reader": name} | {k: str(tmp_path / entry["reader"][k]) for k in ("path", "root")}
    raw["prepare"]["out"] = str(tmp_path / "out")
    (tmp_path / "my_faces.yaml").write_text(yaml.safe_dump(raw))
    (manifest,) = prepare(prepare_config(str(tmp_path / "my_faces.yaml"), []), workers=0)
    assert (manifest.samples, manifest.markup) == (6, "mtfl5")
    assert verify([str(tmp_path / "out" / "train")]).ok
    metas = [
        SampleMeta.model_validate_json(sample.json)
        for shard in manifest.shards
        for sample in iterate_shard(str(tmp_path / "out" / "train" / shard.path))
    ]
    np.testing.assert_allclose([meta.points for meta in metas], points.round(2), atol=1e-3)

    with pytest.raises(ConfigError, match="has no parameter 'rot'; did you mean 'root'"):
        open_reader(entry["reader"] | {"rot": "x"})
    (tmp_path / "faces.txt").write_text("\n".join([rows[0], rows[1].rsplit(maxsplit=1)[0]]))
    _, bad = open_reader(entry["reader"]).records()
    with pytest.raises(DataError, match=r"faces\.txt, line 2: 9 numbers, expected x y of each landmark"):
        bad.load()


class Engine:
    """What the step asks of an engine, in plain torch."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module, self.optimizer = module, torch.optim.Adam(module.parameters(), lr=0.01)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.module(images)

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def test_the_objective_is_found_checked_and_makes_the_generator_sure(example, tmp_path):
    name = example("An unlabelled objective", "my_objective")
    (text,) = blocks("yaml", "An unlabelled objective")
    path = tmp_path / "my_objective.yaml"
    path.write_text(
        text.replace("pieces/", f"{ROOT}/configs/pieces/").replace("name: my_objective\n", f"name: {name}\n")
    )
    config = experiment(str(path), ["model.width=4", "model.dropout=0"])
    assert config.unlabelled_batch == config.training.batch
    with pytest.raises(ConfigError, match=r"has no parameter 'powr'; did you mean 'power'"):
        experiment(str(path), ["unlabelled.objective.powr=2"])

    markup = load_markup("mtfl5")
    torch.manual_seed(0)
    generator = make_generator(config.model, markup, 32)
    method = make_method(config.method, config.loss, None, markup, 32, generator)
    objective = build("objective", config.unlabelled.objective, num_landmarks=5, image_size=32)
    teaching = Teaching("my_objective", objective, Weight(fixed=10.0))
    step = Stepper(Engine(generator), method, [teaching])
    known = torch.ones(2, 5, dtype=torch.bool)

    def faces(labelled: bool) -> DeviceBatch:
        points = torch.full((2, 5, 2), 15.5)
        return DeviceBatch(
            torch.rand(2, 3, 32, 32), points, known & labelled, known, known[:, 0], torch.ones(2), ["a", "b"]
        )

    labelled, unlabelled = faces(True), faces(False)
    metrics = [step(labelled, unlabelled) for _ in range(30)]
    assert metrics[0]["entropy"].item() > 0.9  # of a network that has seen nothing
    assert metrics[-1]["entropy"] < 0.8 * metrics[0]["entropy"]
    assert config.unlabelled.active[0].weight.share == 0.3
    last = metrics[-1]
    torch.testing.assert_close(last["loss"], last["supervised"] + 10.0 * last["entropy"])
