"""``landmarks new data``: drawn cats in every format, to what can be trained on without touching what was written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from pipeline.markup import load_markup
from pipeline.shards.manifest import load_manifest
from pipeline.shards.read import iterate_shard

SIDE, CATS = 120, 30
CAT = {
    "left_ear_base": (-0.8, -0.6), "left_ear_tip": (-0.75, -1.3), "left_ear_inner": (-0.3, -0.85),
    "right_ear_base": (0.8, -0.6), "right_ear_tip": (0.75, -1.3), "right_ear_inner": (0.3, -0.85),
    "left_eye": (-0.4, -0.2), "right_eye": (0.4, -0.2), "nose": (0.0, 0.2),
    "left_mouth": (-0.3, 0.5), "right_mouth": (0.3, 0.5), "chin": (0.0, 0.85),
}  # fmt: skip
NAMES = list(CAT)
LINES = [[1, 2], [2, 3], [4, 5], [5, 6], [10, 9], [9, 11]]  # counted from 1
PAIRS = ((0, 3), (1, 4), (2, 5), (6, 7), (9, 10))


def draw(rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """A cat's face somewhere in front of something."""
    scale, angle = rng.uniform(22, 32), rng.uniform(-0.3, 0.3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points_K2 = np.array(list(CAT.values())) @ turn.T * scale + SIDE / 2 + rng.uniform(-12, 12, 2)
    image = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    pen, fur = ImageDraw.Draw(image), tuple(int(c) for c in rng.integers(60, 230, 3))
    at = dict(zip(NAMES, (tuple(p) for p in points_K2.tolist()), strict=True))
    centre = (points_K2[6] + points_K2[7] + points_K2[11]) / 3
    pen.ellipse((*(centre - 0.95 * scale), *(centre + 0.95 * scale)), fill=fur)
    for side in ("left", "right"):
        pen.polygon([at[f"{side}_ear_{part}"] for part in ("base", "tip", "inner")], fill=fur)
        x, y = at[f"{side}_eye"]
        pen.ellipse((x - 4, y - 3, x + 4, y + 3), fill=(20, 120, 20))
        pen.line([at["nose"], at[f"{side}_mouth"]], fill=(0, 0, 0), width=2)
    x, y = at["nose"]
    pen.polygon([(x - 3, y - 2), (x + 3, y - 2), (x, y + 3)], fill=(200, 80, 90))
    return image, points_K2.round(3)


@pytest.fixture(scope="module")
def cats(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A folder of images, and the landmarks in each, (N, K, 2)."""
    folder, rng = tmp_path_factory.mktemp("cats"), np.random.default_rng(5)
    drawn = [draw(rng) for _ in range(CATS)]
    for number, (image, _) in enumerate(drawn):
        image.save(folder / f"cat{number:02}.png")
    return folder, np.stack([points_K2 for _, points_K2 in drawn])


def box(points_K2: np.ndarray) -> list[float]:
    (left, top), (right, bottom) = points_K2.min(axis=0) - 2, points_K2.max(axis=0) + 2
    return [left, top, right - left, bottom - top]


# Each writes the cats as a tool exports them; returns what `new data` is given.


def coco(folder: Path, points_NK2: np.ndarray) -> Path:
    content = {
        "images": [{"id": n, "file_name": f"cat{n:02}.png", "width": SIDE, "height": SIDE} for n in range(CATS)],
        "categories": [{"id": 3, "name": "cat", "keypoints": NAMES, "skeleton": LINES},
                       {"id": 4, "name": "dog", "keypoints": ["nose"]}],
        "annotations": [{"id": n, "image_id": n, "category_id": 3, "iscrowd": 0, "bbox": box(p_K2),
                         "keypoints": [v for x, y in p_K2.tolist() for v in (x, y, 2)]} for n, p_K2 in enumerate(points_NK2)],
    }  # fmt: skip
    (folder / "cats.json").write_text(json.dumps(content))
    return folder


def cvat(folder: Path, points_NK2: np.ndarray) -> Path:
    images = "".join(
        f'<image id="{n}" name="cat{n:02}.png" width="{SIDE}" height="{SIDE}"><skeleton label="cat">'
        + "".join(
            f'<points label="{name}" outside="0" occluded="0" points="{x + 0.5:.3f},{y + 0.5:.3f}"/>'
            for name, (x, y) in zip(NAMES, points_K2.tolist(), strict=True)
        )
        + "</skeleton></image>"
        for n, points_K2 in enumerate(points_NK2)
    )
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version>{images}</annotations>")
    return folder / "annotations.xml"


def label_studio(folder: Path, points_NK2: np.ndarray) -> Path:
    size = {"original_width": SIDE, "original_height": SIDE, "image_rotation": 0}
    tasks = []
    for n, points_K2 in enumerate(points_NK2):
        result = [
            {"id": name, "type": "keypointlabels", **size,
             "value": {"x": 100 * (x + 0.5) / SIDE, "y": 100 * (y + 0.5) / SIDE, "keypointlabels": [name]}}
            for name, (x, y) in zip(NAMES, points_K2.tolist(), strict=True)
        ]  # fmt: skip
        data = {"image": f"/data/upload/1/0a1b2c3d-cat{n:02}.png"}
        tasks.append({"id": n, "data": data, "annotations": [{"id": n, "result": result}]})
    (folder / "project-1.json").write_text(json.dumps(tasks))
    return folder


def table(folder: Path, points_NK2: np.ndarray) -> Path:
    with (folder / "cats.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *(f"{axis}{k}" for k in range(len(NAMES)) for axis in "xy")])
        rows.writerows([f"cat{n:02}.png", *points_K2.ravel()] for n, points_K2 in enumerate(points_NK2))
    return folder


def pts(folder: Path, points_NK2: np.ndarray) -> Path:
    for n, points_K2 in enumerate(points_NK2):
        lines = "\n".join(f"{x + 1:.3f} {y + 1:.3f}" for x, y in points_K2)
        (folder / f"cat{n:02}.pts").write_text(f"version: 1\nn_points: {len(NAMES)}\n{{\n{lines}\n}}\n")
    return folder


def imglab(folder: Path, points_NK2: np.ndarray) -> Path:
    images = ""
    for n, points_K2 in enumerate(points_NK2):
        left, top, width, height = map(round, box(points_K2))
        parts = "".join(
            f"<part name='{k:02}' x='{x}' y='{y}'/>" for k, (x, y) in enumerate(points_K2.tolist())
        )
        images += (
            f"<image file='cat{n:02}.png'><box left='{left}' top='{top}' width='{width}' height='{height}'>{parts}"
            "</box></image>"
        )
    (folder / "cats.xml").write_text(f"<dataset><images>{images}</images></dataset>")
    return folder


CASES = {
    coco: ("COCO keypoints", "box", True),
    cvat: ("CVAT for images 1.1, skeletons", "image", True),
    label_studio: ("Label Studio's JSON", "image", True),
    table: ("a table (.csv)", "image", False),
    pts: (".pts beside images", "image", False),
    imglab: ("dlib's imglab XML", "box", False),
}
"""Writer → the format's name, what crops are placed around, whether landmarks have names."""


@pytest.mark.parametrize("writer", CASES, ids=lambda writer: writer.__name__)
def test_what_is_written_works_as_it_is(writer, cats, tmp_path, monkeypatch, in_process):
    title, points, named = CASES[writer]
    images, points_NK2 = cats
    folder = tmp_path / "kittens"
    folder.mkdir()
    for image in images.iterdir():
        (folder / image.name).hardlink_to(image)
    given = writer(folder, points_NK2).relative_to(tmp_path)
    monkeypatch.chdir(tmp_path)

    printed = in_process("new", "data", str(given))
    assert title in printed
    assert f"{CATS} annotations in {CATS} images" in printed
    assert "12 landmarks" in printed
    commands = [line.split()[1:] for line in printed.splitlines() if line.strip().startswith("landmarks ")]
    assert [command[0] for command in commands] == ["prepare", "verify", "train"]
    config = Path(commands[0][1])
    section = yaml.safe_load(config.read_text())["prepare"]
    assert section["crop"]["points"] == points
    markup = load_markup(section["sets"][0]["reader"]["markup"])
    assert (markup.num_landmarks, markup.names) == (12, tuple(NAMES) if named else None)
    assert markup.flip_pairs == (PAIRS if named else None)
    lines = [(0, 1, 2), (3, 4, 5), (9, 8, 10)] if writer is coco else []
    assert [curve.indices for curve in markup.curves] == lines

    in_process(*commands[0], "--workers", "0")
    verified = in_process(*commands[1])
    assert "ok (" in verified
    assert "streams" not in verified  # they get shards enough
    assert "labelled faces" in in_process(*commands[2])
    sets = [
        load_manifest(str(tmp_path / "outputs/data" / config.stem / part)) for part in ("train", "validation")
    ]
    # Drawn cats resemble each other: now and then a held-out one is left out for it.
    assert CATS - 2 <= sum(manifest.samples for manifest in sets) <= CATS
    shard = tmp_path / "outputs/data" / config.stem / "train" / sets[0].shards[0].path
    for sample in iterate_shard(str(shard)):
        meta = json.loads(sample.json)
        expected_K2 = points_NK2[int(Path(meta["image"].split("#")[0]).stem.removeprefix("cat"))]
        np.testing.assert_allclose(meta["points"], expected_K2, atol=2e-3)
    if writer is pts:  # the one crop that none of these cats asks for
        around = ("prepare.crop.points=landmarks", "prepare.crop.side_factor=1.5", "prepare.out=around")
        in_process("prepare", str(config), *around, "--workers", "0")
        assert load_manifest("around/train").crop.points == "landmarks"
        assert "ok (" in in_process("verify", "around/train", "around/validation")
    assert "there already" in in_process("new", "data", str(given), code=2)
