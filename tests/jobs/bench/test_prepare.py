"""``landmarks bench prepare``: small, through the real preparation."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from jobs.bench.plain_prepare import measure
from jobs.bench.prepare import bench
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import DataError

COUNT = 8


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for index, record in enumerate(SyntheticFaces(COUNT, near_frontal=True).records()):
        Image.fromarray(record.load().image_HW3).save(folder / f"{index}.jpg", quality=95)
    return folder


def test_plain_loop_cuts_faces_out(images: Path, tmp_path: Path) -> None:
    result = measure([str(images)], COUNT, 1, 1, tmp_path)
    assert result["images"] == COUNT
    assert result["seconds"] > 0
    written = [path for path in tmp_path.iterdir() if path.name != "warmup.jpg"]
    assert len(written) == result["faces"] >= COUNT // 2
    with Image.open(written[0]) as crop:
        assert crop.size == (80, 80)


def test_plain_loop_goes_on_after_a_bad_image(images: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    (folder / "a.jpg").write_bytes((images / "0.jpg").read_bytes())
    (folder / "b.jpg").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(folder / "c.png")
    assert measure([str(folder)], 3, 0, 1, out)["images"] == 3


def test_a_wrong_folder_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        bench([str(tmp_path / "nowhere")], count=1, out=None)


@pytest.mark.slow
@pytest.mark.cluster
def test_measures_both_sides(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "prepare.csv"
    bench([str(images)], count=COUNT, out=str(out))
    steady, whole = csv.DictReader(out.open())
    assert (steady["figure"], whole["figure"]) == ("steady", "whole")
    for row in (steady, whole):
        ours, plain = float(row["ours_images_per_second"]), float(row["plain_images_per_second"])
        assert ours > 0
        # Of the unrounded rates; on a busy machine two digits after the point are few.
        low, high = (ours - 0.005) / (plain + 0.005), (ours + 0.005) / max(plain - 0.005, 1e-9)
        assert low - 1e-4 <= float(row["ratio"]) <= high + 1e-4
        assert int(row["images"]) == COUNT
        assert int(row["ours_faces"]) >= COUNT // 2
        assert row["cpu"]
    # Starting takes time on either side.
    assert float(whole["ours_images_per_second"]) < float(steady["ours_images_per_second"])
    assert float(whole["plain_images_per_second"]) < float(steady["plain_images_per_second"])
    assert "ratio" in capsys.readouterr().out
