import pickle
import subprocess
import sys

import numpy as np
import pytest

from pipeline.datasets.face import FaceReader, FaceRecord
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import ConfigError
from pipeline.synthetic import render_face


def test_is_a_face_reader():
    reader = SyntheticFaces(3)
    assert isinstance(reader, FaceReader)
    assert reader.markup is not None
    assert reader.markup.name == "ibug68"
    records = reader.records()
    assert all(isinstance(record, FaceRecord) for record in records)
    assert [record.name for record in records] == [f"seed0/{i:08d}.png" for i in range(3)]
    assert {record.source for record in records} == {"synthetic"}


def test_a_image_and_its_annotation():
    image = SyntheticFaces(1, size=96).records()[0].load()
    assert image.image_HW3.shape == (96, 96, 3)
    assert image.image_HW3.dtype == np.uint8
    assert image.content == image.image_HW3.tobytes()
    annotation = image.annotation
    assert annotation is not None
    assert annotation.points_K2.shape == (68, 2)
    assert annotation.points_K2.dtype == np.float64
    assert annotation.visible_K.shape == (68,)
    assert annotation.visible_K.dtype == bool
    assert {"yaw", "pitch", "roll", "occluder"} <= set(annotation.attributes)
    left, top, right, bottom = annotation.box
    np.testing.assert_allclose([left, top], annotation.points_K2.min(axis=0))
    np.testing.assert_allclose([right, bottom], annotation.points_K2.max(axis=0))


def test_a_face_depends_on_seed_and_index_alone():
    few = SyntheticFaces(4, seed=3, size=64).records()
    late = SyntheticFaces(50, seed=3, size=64, start=2).records()
    assert few[3].name == late[1].name
    expected = few[3].load()
    for record in (late[1], few[3]):
        again = record.load()
        assert again.content == expected.content
        np.testing.assert_array_equal(again.annotation.points_K2, expected.annotation.points_K2)
    assert few[2].load().content != expected.content
    assert SyntheticFaces(4, seed=4, size=64).records()[3].load().content != expected.content


def test_another_process_renders_the_same_pixels():
    code = (
        "import hashlib; from pipeline.synthetic import render_face;"
        "print(hashlib.sha256(render_face(1, 5, 64).image_HW3.tobytes()).hexdigest())"
    )
    import hashlib

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(render_face(1, 5, 64).image_HW3.tobytes()).hexdigest()


def test_records_travel_to_workers():
    record = SyntheticFaces(1, seed=2, size=64).records()[0]
    assert len(pickle.dumps(record)) < 1000
    assert pickle.loads(pickle.dumps(record)).load().content == record.load().content


def test_unlabelled_hides_the_annotation_of_the_same_images():
    hidden, shown = (SyntheticFaces(2, size=64, labelled=labelled) for labelled in (False, True))
    assert hidden.markup is None
    image = hidden.records()[1].load()
    assert image.annotation is None
    assert image.content == shown.records()[1].load().content


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 1, "size": 8}, {"count": 1, "start": -1}, {"count": 1, "seed": -1}]
)
def test_refuses_what_cannot_be_rendered(wrong):
    with pytest.raises(ConfigError, match=list(wrong)[-1]):
        SyntheticFaces(**wrong)


def test_importing_the_package_needs_no_torch():
    code = "import sys, pipeline.synthetic; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_mtcnn_finds_near_frontal_faces_where_they_are():
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(keep_all=True, device="cpu")
    from PIL import Image

    reader = SyntheticFaces(60, seed=1, near_frontal=True)
    errors = []
    for record in reader.records():
        image = record.load()
        _, _, five = mtcnn.detect(Image.fromarray(image.image_HW3), landmarks=True)
        if five is None:
            continue
        expected = reader.markup.five_from(image.annotation.points_K2)
        interocular = np.linalg.norm(expected[0] - expected[1])
        errors.append(
            min(np.linalg.norm(found - expected, axis=1).mean() for found in np.asarray(five, dtype=float))
            / interocular
        )
    assert sum(error < 0.25 for error in errors) / 60 >= 0.80
    # A detector trained on people sees our landmarks where we say they are.
    assert np.median(errors) < 0.08
