"""One chunk: every reason to leave an image out, and what is written for the others."""

from __future__ import annotations

import io
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Annotation, FaceImage, Unusable
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.faces.crop import extract
from pipeline.markup import Markup
from pipeline.shards.manifest import CropPolicy, SampleMeta
from pipeline.shards.prepare import REASONS, ChunkOptions, encode_jpeg, prepare_chunk

MARKUP = Markup("five", 5, (), ((0, 1), (3, 4)), five_points=((0,), (1,), (2,), (3,), (4,)))
FIVE = np.array([[40.0, 40], [80, 40], [60, 60], [45, 80], [75, 80]])
POLICY = CropPolicy(points="detector", side_factor=3.0, size=32, jpeg_quality=95)


@dataclass(frozen=True)
class Record:
    """Its name says what the detector sees: the number of faces, and how large they are."""

    name: str
    points: np.ndarray | None = None
    source: str = "test"

    def load(self):
        if self.name.startswith("broken"):
            raise DataError(f"{self.name}: damaged image")
        rng = np.random.default_rng(len(self.name))
        image = rng.integers(0, 256, (120, 140, 3), dtype=np.uint8)
        image[0, 0, 0], image[0, 0, 1] = int(self.name[0]), int(self.name[1])
        annotation = None
        if self.points is not None:
            annotation = Annotation(self.points, np.ones(5, dtype=bool), (1, 2, 3, 4), {"pose": 1})
        return FaceImage(image, annotation, b"")


class Detector:
    def detect(self, images):
        return [
            [
                SimpleNamespace(five_52=(FIVE - 60) * image[0, 0, 1] / 9 + 60 + 9 * i)
                for i in range(image[0, 0, 0])
            ]
            for image in images
        ]


class Duplicates:
    """Images in the second place of each batch are copies."""

    def matches(self, crops):
        return ["test-key" if i == 1 else None for i in range(len(crops))]


def options(role="unlabelled", **changes):
    values = {
        "role": role,
        "markup": MARKUP if role == "labelled" else None,
        "crop": POLICY,
        "min_face_px": 32.0,
        "on_no_face": "landmarks",
        "several_faces": "keep_largest",
    }
    return ChunkOptions(**(values | changes))


def test_every_reason_is_recorded_in_the_records_order():
    records = [Record(name) for name in ("19-ok", "broken", "09-none", "12-small", "39-many", "19-copy")]
    duplicates = SimpleNamespace(matches=lambda crops: [None] * (len(crops) - 1) + ["other"])
    result = prepare_chunk(records, options(several_faces="reject"), Detector(), duplicates)
    assert [(r.name, r.reason) for r in result.rejects] == [
        ("broken", "unreadable"),
        ("09-none", "no_face"),
        ("12-small", "too_small"),
        ("39-many", "several_faces"),
        ("19-copy", "near_duplicate"),
    ]
    assert {r.reason for r in result.rejects} < set(REASONS)
    assert result.rejects[0].detail == "broken: damaged image"
    assert result.rejects[2].detail == "square of 26.7 px, at least 32 wanted"
    assert result.rejects[4].detail == "of other"
    assert len(result.samples) == 1
    assert result.counts == {"samples": 1, "landmark_placed": 0}


def test_largest_face_is_kept_by_default():
    result = prepare_chunk([Record("39-many")], options(), Detector())
    meta = SampleMeta.model_validate_json(result.samples[0].json)
    np.testing.assert_array_equal(meta.five, FIVE)


def test_sample_holds_the_crop_and_its_geometry():
    record = Record("19-face", FIVE + 0.123456)
    result = prepare_chunk([record], options("labelled"), Detector())
    sample = result.samples[0]
    meta = SampleMeta.model_validate_json(sample.json)
    assert meta.key == sample.key
    assert (meta.source, meta.image, meta.width, meta.height) == ("test", "19-face", 140, 120)
    assert (meta.five_source, meta.box, meta.attributes) == ("detector", (1, 2, 3, 4), {"pose": 1})
    np.testing.assert_allclose(meta.points, FIVE + 0.1235, atol=1e-9)
    stored = np.asarray(Image.open(io.BytesIO(sample.jpg)))
    np.testing.assert_array_equal(
        stored,
        np.asarray(Image.open(io.BytesIO(encode_jpeg(extract(record.load().image_HW3, meta.crop), 95)))),
    )


def test_labelled_face_the_detector_misses():
    record = Record("09-missed", FIVE)
    placed = prepare_chunk([record], options("labelled"), Detector())
    assert placed.counts["landmark_placed"] == 1
    left_out = prepare_chunk([record], options("labelled", on_no_face="reject"), Detector())
    assert [r.reason for r in left_out.rejects] == ["no_face"]


def test_landmarks_that_the_square_cuts_are_counted():
    narrow = POLICY.model_copy(update={"side_factor": 0.9})
    result = prepare_chunk([Record("19-face", FIVE)] * 1, options("labelled", crop=narrow), Detector())
    # The square spans x, y = 42 … 78 around (60, 60): the nose alone is inside vertically.
    assert result.counts["landmarks"] == 5
    assert result.counts["landmarks_cut"] == 4
    assert result.counts["faces_cut"] == 1


def test_a_position_nobody_knows_is_null_and_a_hidden_known_one_is_not():
    points = FIVE.copy()
    points[2] = np.nan
    result = prepare_chunk([Record("19-face", points)], options("labelled"), Detector())
    meta = SampleMeta.model_validate_json(result.samples[0].json)
    assert meta.visible == [True, True, False, True, True]
    assert meta.points[2] is None
    assert np.isnan(meta.crop_points()[2]).all()
    assert np.isfinite(meta.crop_points()[[0, 1, 3, 4]]).all()
    assert result.counts["landmarks"] == 4


def test_labelled_data_serves_as_unlabelled():
    result = prepare_chunk([Record("19-face", FIVE)], options(), Detector())
    assert SampleMeta.model_validate_json(result.samples[0].json).points is None


def test_landmark_placement_needs_no_detector():
    by_landmarks = options("labelled", crop=POLICY.model_copy(update={"points": "landmarks"}))
    assert not by_landmarks.needs_detector
    result = prepare_chunk([Record("09-face", FIVE)], by_landmarks, None)
    assert SampleMeta.model_validate_json(result.samples[0].json).five_source == "landmarks"


def test_boxes_and_whole_images_need_neither_detector_nor_five_points():
    records = [Record("09-a", FIVE), Record("09-b")]
    whole = POLICY.model_copy(update={"points": "image", "side_factor": 1.0})
    for role, markup in (("labelled", Markup("any", 5, ())), ("unlabelled", None)):
        result = prepare_chunk(
            records[role == "unlabelled" :], options(role, crop=whole, markup=markup), None
        )
        meta = SampleMeta.model_validate_json(result.samples[0].json)
        assert (meta.left, meta.top, meta.side, meta.five, meta.five_source) == (0, -10, 140, None, "image")
    boxed = POLICY.model_copy(update={"points": "box", "side_factor": 20.0})
    result = prepare_chunk(
        [Record("09-a", FIVE), Record("09-b", FIVE)],
        options("labelled", crop=boxed, markup=Markup("any", 5, ())),
        None,
    )
    meta = SampleMeta.model_validate_json(result.samples[0].json)
    assert (meta.side, meta.five_source, meta.box) == (40.0, "box", (1, 2, 3, 4))
    assert np.isnan(meta.crop_five()).all()


@pytest.mark.parametrize("count", [1, 31, 32, 33, 70])
def test_batches_lose_nothing(count):
    records = [Record("broken") if i % 7 == 3 else Record(f"19-{i}") for i in range(count)]
    result = prepare_chunk(records, options(), Detector())
    images = [SampleMeta.model_validate_json(s.json).image for s in result.samples]
    assert images == [r.name for r in records if r.name != "broken"]
    assert len(result.rejects) == sum(r.name == "broken" for r in records)


def test_a_face_most_of_whose_landmarks_lie_off_its_image_is_left_out_whatever_is_visible():
    far = Record("19-far", FIVE + 5000)
    hidden = Annotation(FIVE + 5000, np.zeros(5, dtype=bool))
    result = prepare_chunk([far, Record("19-cut", FIVE - (60, 0))], options("labelled"), Detector())
    assert [(r.name, r.reason) for r in result.rejects] == [("19-far", "off_image")]
    assert result.rejects[0].detail == (
        "5 of 5 landmarks lie off the image of 140×120 px, the farthest at (5045, 5080)"
    )
    assert len(result.samples) == 1  # two of five over the edge: a face cut off
    image = FaceImage(np.zeros((120, 140, 3), np.uint8), hidden, b"")
    unseen = SimpleNamespace(name="u", source="test", load=lambda: image)
    assert [r.reason for r in prepare_chunk([unseen], options("labelled"), Detector()).rejects] == [
        "off_image"
    ]


def test_an_entry_that_gives_no_face_is_a_reject_of_its_own_reason():
    records = [Unusable("test", "a", "bad_annotation", "a.pts, line 3"), Record("19-ok"),
               Unusable("test", "b", "wrong_size", "b.jpg: 1×1")]  # fmt: skip
    result = prepare_chunk(records, options(), Detector())
    assert result.rejects == [("a", "bad_annotation", "a.pts, line 3"), ("b", "wrong_size", "b.jpg: 1×1")]
    assert len(result.samples) == 1


def test_what_a_file_system_raises_is_a_reject():
    def load():
        raise PermissionError(13, "Permission denied", "/x/a.jpg")

    result = prepare_chunk([SimpleNamespace(name="a", source="s", load=load)], options(), Detector())
    assert result.rejects[0].reason == "unreadable"
    assert "Permission denied" in result.rejects[0].detail


def test_a_value_that_json_does_not_have_is_a_reject():
    image = FaceImage(
        np.zeros((120, 140, 3), np.uint8), Annotation(FIVE, np.ones(5, bool), attributes={"a": np.nan}), b""
    )
    record = SimpleNamespace(name="a", source="s", load=lambda: image)
    result = prepare_chunk([record, Record("19-ok", FIVE)], options("labelled"), Detector())
    assert [r.reason for r in result.rejects] == ["bad_annotation"]
    assert len(result.samples) == 1


def test_decoded_images_are_held_by_their_bytes_not_their_number(monkeypatch):
    """A detector sees how many are held together; their bytes never go beyond the budget by more than one image."""
    monkeypatch.setattr("pipeline.shards.prepare._BYTES_AT_ONCE", 3 * 120 * 140 * 3)
    together = []

    class Counting(Detector):
        def detect(self, images):
            together.append(len(images))
            return super().detect(images)

    result = prepare_chunk([Record(f"19-{i}") for i in range(8)], options(), Counting())
    assert together == [3, 3, 2]
    assert len(result.samples) == 8


def test_larger_images_are_allowed_where_the_config_says_so(tmp_path):
    Image.new("RGB", (140, 120)).save(tmp_path / "a.png")
    record = stored_file(tmp_path / "a.png", source="s", name="a")
    small = prepare_chunk([record], options(max_pixels=140 * 120 - 1), Detector())
    assert "over 0.016799 Mpx; raise 'max_image_mpx'" in small.rejects[0].detail
    enough = prepare_chunk([record], options(max_pixels=140 * 120), Detector())
    assert [r.reason for r in enough.rejects] == ["no_face"]  # decoded
