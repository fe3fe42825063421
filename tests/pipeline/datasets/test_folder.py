"""Folders and tars of unlabelled images."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.folder import ImageFolder
from pipeline.errors import DataError


def png(value):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "faces"
    for index, name in enumerate(["b/2.PNG", "a/1.png", "3.png", "a/deep/er/4.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(index))
    (root / "readme.txt").write_text("not an image")
    (root / "a" / "._1.png").write_bytes(b"macOS")
    return root


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_searches_all_subfolders_in_a_fixed_order(folder):
    reader = ImageFolder(str(folder))
    names = [record.name for record in reader.records()]
    assert names == ["faces/3.png", "faces/a/1.png", "faces/a/deep/er/4.png", "faces/b/2.PNG"]
    assert reader.markup is None
    image = reader.records()[1].load()
    assert image.image_HW3[0, 0, 0] == 1
    assert image.annotation is None


def test_tar_members_are_read_in_place(tmp_path):
    path = write_tar(tmp_path / "web.tar", {f"x/{i}.png": png(i) for i in range(5)} | {"x/list.txt": b"."})
    records = ImageFolder(str(path)).records()
    assert [record.name for record in records] == [f"web/x/{i}.png" for i in range(5)]
    assert [int(record.load().image_HW3[0, 0, 0]) for record in records] == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["web.tar"]  # nothing was extracted


def test_several_roots(folder, tmp_path):
    path = write_tar(tmp_path / "web.tar", {"1.png": png(9)})
    assert len(ImageFolder([str(folder), str(path)]).records()) == 5


def test_limit_draws_evenly_and_grows_in_place(tmp_path):
    root = tmp_path / "many"
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        for index in range(100):
            (root / folder / f"{index}.png").write_bytes(b"x")
    few = {record.name for record in ImageFolder(str(root), limit=40).records()}
    more = {record.name for record in ImageFolder(str(root), limit=60).records()}
    assert len(few) == 40
    assert few < more
    assert 10 <= sum("/a/" in name for name in few) <= 30


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png"])
def test_tar_that_leads_outside_is_refused(tmp_path, name):
    path = write_tar(tmp_path / "bad.tar", {"ok.png": png(0), name: png(1)})
    with pytest.raises(DataError, match=r"bad\.tar: member .*points outside the archive"):
        ImageFolder(str(path)).records()


def test_links_in_a_tar_are_not_followed(tmp_path):
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match="no images in it"):
        ImageFolder(str(path)).records()


def test_truncated_and_compressed_tars(tmp_path):
    path = write_tar(
        tmp_path / "cut.tar", {"1.png": png(1), "2.png": bytes(np.random.default_rng(0).bytes(4000))}
    )
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.tar: "):
        ImageFolder(str(path)).records()
    zipped = tmp_path / "zipped.tar"
    with tarfile.open(zipped, "w:gz"):
        pass
    with pytest.raises(DataError, match=r"zipped\.tar: not a plain, whole tar"):
        ImageFolder(str(zipped)).records()


def test_cycle_of_links_ends(folder):
    (folder / "a" / "loop").symlink_to(folder, target_is_directory=True)
    assert len(ImageFolder(str(folder)).records()) == 4


def test_wrong_roots(tmp_path, folder):
    with pytest.raises(DataError, match="nowhere: no such folder or file"):
        ImageFolder(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"readme\.txt: neither a folder nor a plain \.tar"):
        ImageFolder(str(folder / "readme.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no images in it \(looked for \.bmp, \.gif"):
        ImageFolder(str(tmp_path / "empty")).records()
    with pytest.raises(DataError, match="empty list"):
        ImageFolder([])
    with pytest.raises(DataError, match="field 'limit' is 0"):
        ImageFolder(str(folder), limit=0)
    with pytest.raises(DataError, match=r"faces is given twice; remove one"):
        ImageFolder([str(folder), str(folder)])
    with pytest.raises(DataError, match=r"none-\*\.tar: no such folder or file"):
        ImageFolder(str(tmp_path / "none-*.tar"))
    with pytest.raises(DataError, match="field 'root' is .*alanced"):
        ImageFolder(str(tmp_path / "x-{1..2.tar"))


def test_roots_of_one_name_are_told_apart_by_their_parents_and_one_alone_is_called_as_before(tmp_path):
    for parent in "AB":
        (tmp_path / parent / "images").mkdir(parents=True)
        (tmp_path / parent / "images" / "1.png").write_bytes(png(1))
    tar = write_tar(tmp_path / "A" / "web.tar", {"1.png": png(2)})
    roots = [str(tmp_path / "A" / "images"), str(tmp_path / "B" / "images"), str(tar)]
    assert [r.name for r in ImageFolder(roots).records()] == ["A/images/1.png", "B/images/1.png", "web/1.png"]
    assert [r.name for r in ImageFolder(roots[0]).records()] == ["images/1.png"]


def test_tars_of_a_folder_a_pattern_and_a_list_in_braces_are_the_same(tmp_path):
    for number in range(2):
        write_tar(tmp_path / f"{number:03d}.tar", {f"{number}.png": png(number)})
    forms = [str(tmp_path), str(tmp_path / "*.tar"), str(tmp_path / "{000..001}.tar")]
    forms.append([str(tmp_path / "000.tar"), str(tmp_path / "001.tar")])
    for form in forms:
        records = ImageFolder(form).records()
        assert [r.name for r in records] == ["000/0.png", "001/1.png"]
        assert int(records[1].load().image_HW3[0, 0, 0]) == 1
    (tmp_path / "a.png").write_bytes(png(3))  # the archive beside its own content
    assert [r.name for r in ImageFolder(str(tmp_path)).records()] == [f"{tmp_path.name}/a.png"]


def test_what_cannot_be_read_is_left_out_by_name(folder):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "link.jpg").symlink_to(folder / "gone.jpg")
    (folder / "empty.jpg").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(png(1))
    left_out = {r.name: r.problem for r in ImageFolder(str(folder)).records() if isinstance(r, Unusable)}
    assert left_out.keys() == {"faces/pipe.jpg", "faces/link.jpg", "faces/empty.jpg", "faces/caf\\udce9.jpg"}


def test_what_is_passed_over_is_counted(folder):
    for name in ("a.jp2", "b.jp2", "noextension", "c.gif", "d.jfif"):
        (folder / name).write_bytes(png(1))
    reader = ImageFolder(str(folder))
    assert {"faces/c.gif", "faces/d.jfif"} <= {r.name for r in reader.records()}
    (remark,) = reader.remarks
    assert "faces: 4 files passed over, no image by extension: 2 × .jp2, " in remark
    assert "1 × .txt" in remark
    assert "1 × no extension" in remark


def test_damaged_image_is_listed_and_fails_by_name_when_read(folder):
    (folder / "3.png").write_bytes(png(3)[:40])
    record = ImageFolder(str(folder)).records()[0]
    with pytest.raises(DataError, match=r"3\.png: "):
        record.load()
