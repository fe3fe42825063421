"""A model reads back to the same outputs; a folder that holds none, or half of one, is named."""

import json
from pathlib import Path

import fsspec
import pytest
import torch

from pipeline.errors import DataError
from pipeline.heatmaps.decode import mean
from pipeline.markup import markup_from, own_definition
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.model_file import (
    LandmarkModel,
    ModelDescription,
    load_description,
    load_model,
    save_model,
)
from pipeline.registry import Part, build
from pipeline.shards.manifest import CropPolicy


def part(name: str, **parameters) -> Part:
    return Part.model_validate({"name": name, **parameters})


DESCRIPTION = ModelDescription(
    name="run",
    model=part("rcn", width=4, dropout=0.2),
    loss=part("laplace_kl", beta=0.7),
    markup="ibug68",
    num_landmarks=68,
    input_size=80,
    crop=CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95),
    step=120,
    averaged=True,
    parameters=17408,
    config_hash="0123456789ab",
    seed=3,
    validation={"nme": 4.01},
    extra={"selected": "best"},
)


@pytest.fixture
def generator():
    torch.manual_seed(3)
    return build("model", DESCRIPTION.model, num_landmarks=68)


@pytest.fixture
def folder(tmp_path, generator) -> str:
    save_model(str(tmp_path / "model"), DESCRIPTION, generator.state_dict())
    return str(tmp_path / "model")


def test_a_model_reads_back_to_identical_outputs(folder, generator):
    model = load_model(folder)
    images = torch.rand(2, 3, 80, 80)
    method = make_method(
        DESCRIPTION.method, DESCRIPTION.loss, None, DESCRIPTION.layout, DESCRIPTION.input_size, generator
    )
    with torch.no_grad():
        expected = LandmarkModel(generator, method, DESCRIPTION).eval()(images)
        prediction = model(images)
        got = prediction.heatmaps_BKHW
        assert torch.equal(got, expected.heatmaps_BKHW)
        assert torch.equal(prediction.points_BK2, expected.points_BK2)
        torch.testing.assert_close(prediction.points_BK2, mean(got))
        # β belongs to the model: without it the heatmaps would be others.
        logits = generator(images)
        torch.testing.assert_close(got, (0.7 * logits.flatten(2)).softmax(-1).view_as(logits))
    assert not model.training
    assert model.description == DESCRIPTION
    torch.testing.assert_close(got.sum((-1, -2)), torch.ones(2, 68))


def test_a_model_in_an_object_store(generator):
    url = "memory://test-model/best"
    save_model(url, DESCRIPTION, generator.state_dict())
    try:
        for name, value in load_model(url).generator.state_dict().items():
            assert torch.equal(value, generator.state_dict()[name])
    finally:
        fsspec.filesystem("memory").rm("/test-model", recursive=True)


def test_weights_need_not_be_contiguous_or_alone_in_memory(tmp_path, generator):
    state = generator.state_dict()
    name = next(n for n, v in state.items() if v.ndim == 4 and min(v.shape[:2]) > 1)
    state[name] = state[name].contiguous(memory_format=torch.channels_last)
    assert not state[name].is_contiguous()
    save_model(str(tmp_path / "m"), DESCRIPTION, state)
    assert torch.equal(load_model(str(tmp_path / "m")).generator.state_dict()[name], state[name])


def test_a_folder_without_a_description(tmp_path):
    with pytest.raises(DataError, match=r"no model\.json: give a run's folder, or its models/best"):
        load_description(str(tmp_path))


def changed(folder, **changes) -> None:
    path = Path(folder, "model.json")
    raw = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not ...}))


@pytest.mark.parametrize("content", ["{", "", "[]", "{}", b"\xff\xfe"], ids=repr)
def test_a_description_that_is_none(folder, content):
    Path(folder, "model.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=r"model\.json: not a model description of this release"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "somebody/else"}, "format"),
        ({"version": 2}, "version"),
        ({"input_size": "wide"}, "input_size"),
        ({"markup": ...}, "markup"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(folder, changes, field):
    changed(folder, **changes)
    with pytest.raises(
        DataError, match=rf"(?s)model\.json: not a model description of this release.*{field}"
    ):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "rcm"}}, "no model named 'rcm'"),
        ({"model": {"name": "rcn", "widht": 4}}, "has no parameter 'widht'"),
        ({"loss": {"name": "laplace_kl", "true_scale": -1}}, "true_scale is -1"),
    ],
)
def test_a_part_that_is_not_there_names_the_file(folder, changes, message):
    changed(folder, **changes)
    with pytest.raises(DataError, match=rf"model\.json: .*{message}"):
        load_model(folder)


def test_missing_weights(folder, tmp_path):
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: weights cannot be loaded"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 7, 100, -10])
def test_truncated_weights(folder, tmp_path, keep):
    file = tmp_path / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors: weights cannot be loaded"):
        load_model(folder)


def test_weights_of_another_network(folder):
    changed(folder, model={"name": "rcn", "width": 8})
    with pytest.raises(DataError, match=r"(?s)model\.safetensors: weights cannot be loaded: .*size mismatch"):
        load_model(folder)


def test_a_regressor_carries_the_uncertainty_of_its_held_out_errors(tmp_path):
    residual = [[[4.0, 1.0], [1.0, 9.0]]] * 5
    description = DESCRIPTION.model_copy(
        update={
            "model": part("regressor", backbone="resnet18"), "loss": part("anisotropic"), "method": part("anisotropic"),
            "markup": "mtfl5", "num_landmarks": 5, "residual_covariance": residual,
        }
    )  # fmt: skip
    generator = make_generator(description.model, description.layout, 80)
    generator.set_mean(torch.full((5, 2), 30.0), (80, 80))
    save_model(str(tmp_path), description, generator.state_dict())
    model = load_model(str(tmp_path))
    with torch.no_grad():
        prediction = model(torch.rand(3, 3, 80, 80))
    assert torch.equal(prediction.covariance_BK22, torch.tensor(residual).expand(3, 5, 2, 2))
    assert prediction.heatmaps_BKHW is None
    # The shape that displacements start from is saved with the weights.
    assert torch.equal(model.generator.mean_K2, generator.mean_K2)
    save_model(
        str(tmp_path), description.model_copy(update={"residual_covariance": None}), generator.state_dict()
    )
    with torch.no_grad():
        assert load_model(str(tmp_path))(torch.rand(1, 3, 80, 80)).covariance_BK22 is None


def test_a_markup_of_ones_own_comes_along(tmp_path):
    own = {"name": "mine", "num_landmarks": 3, "flip_pairs": [[0, 1]]}
    definition = own_definition(markup_from(own, "mine.yaml"))
    description = DESCRIPTION.model_copy(
        update={"markup": "mine", "markup_definition": definition, "num_landmarks": 3}
    )
    generator = make_generator(description.model, description.layout, 80)
    save_model(str(tmp_path), description, generator.state_dict())
    model = load_model(str(tmp_path))
    assert model.description.layout.num_landmarks == 3
    with torch.no_grad():
        assert model(torch.rand(1, 3, 80, 80)).points_BK2.shape == (1, 3, 2)


def test_the_weights_it_was_trained_from_are_not_needed(tmp_path):
    model = part("simple_baseline", backbone="resnet18", width=16)
    torch.manual_seed(0)
    state = build("model", model, num_landmarks=68).state_dict()
    told = model.model_copy(update={"weights": "/gone/resnet18.safetensors"})
    description = DESCRIPTION.model_copy(update={"model": told, "input_size": 64})
    save_model(str(tmp_path), description, state)
    loaded = load_model(str(tmp_path)).generator.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_a_model_in_a_store_that_is_busy(s3, generator):
    s3.failures = 3
    save_model("s3://faces/models/best", DESCRIPTION, generator.state_dict())
    s3.failures = 3
    model = load_model("s3://faces/models/best")
    assert s3.failures == 0
    assert model.description == DESCRIPTION
    for name, value in generator.state_dict().items():
        assert torch.equal(model.generator.state_dict()[name], value)
    with pytest.raises(DataError, match=r"s3://faces/models/last: no model\.json"):
        load_model("s3://faces/models/last")
