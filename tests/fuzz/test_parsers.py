"""Seeded damage to every kind of file that others write: each is read, or refused by an error of our own. Nothing hangs or grows.

650 inputs by default, 16,000 with ``-m slow``. An input that fails is named by its parser and number, which give it again.
"""

from __future__ import annotations

import io
import json
import random
import resource
import signal
import tarfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from pipeline.datasets._decode import decode_image
from pipeline.datasets.open import open_reader
from pipeline.datasets.sniff import sniff
from pipeline.datasets.sniff.own import markup_text, own_data
from pipeline.errors import DataError, LandmarkError
from pipeline.markup import load_markup, markup_from
from pipeline.shards.loader import Quarantine, collate
from pipeline.shards.manifest import CropPolicy, SampleMeta, load_manifest
from pipeline.shards.prepare import ChunkOptions, prepare_chunk
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.stream import StreamSample
from pipeline.shards.write import encode_meta, write_shard
from pipeline.training.config.own_data import config_text

SIDE = 24
MARKUP = load_markup("mtfl5")
FIVE = [[4.0, 5.0], [18.0, 5.0], [11.0, 11.0], [6.0, 17.0], [16.0, 17.0]]
SECONDS = 10
"""For one input, on a machine that others use too."""
GROWTH = 512 * 2**20
"""Bytes that a process may grow over all inputs of a parser."""

OPTIONS = ChunkOptions(
    role="labelled",
    markup=MARKUP,
    crop=CropPolicy(points="landmarks", side_factor=3.0, size=32, jpeg_quality=95),
    min_face_px=1.0,
    on_no_face="landmarks",
    several_faces="keep_largest",
)


@dataclass(frozen=True)
class Parser:
    """What reads a kind of file.

    Attributes:
        seed: A sound file.
        read: Reads the file at a path.
    """

    seed: bytes
    read: Callable[[Path], object]


def jpeg(size: int = SIDE, **options) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def prepared(spec: dict) -> None:
    """Open a reader and do with its records what a preparation does."""
    records = list(open_reader(spec).records())
    for record in records:
        record.fingerprint()
        record.name.encode()
    result = prepare_chunk(records, OPTIONS, None)
    assert len(result.samples) + len(result.rejects) == len(records)
    for reject in result.rejects:
        json.dumps(reject, ensure_ascii=False).encode()


def reader(name: str, seed: object, **given: object) -> Parser:
    def read(path: Path) -> None:
        prepared(
            {
                "reader": name,
                "path": str(path),
                "root": str(path.parent / "images"),
                "markup": "mtfl5",
                **given,
            }
        )

    return Parser(seed if isinstance(seed, bytes) else json.dumps(seed).encode(), read)


def coco() -> Parser:
    points = [value for x, y in FIVE for value in (x, y, 2)]
    images = [
        {"id": n, "file_name": name, "width": SIDE, "height": SIDE}
        for n, name in enumerate(("a.jpg", "b.jpg"))
    ]
    faces = [{"id": 7 + n, "image_id": n, "category_id": 1, "keypoints": points, "bbox": [1, 1, 20, 20], "iscrowd": 0,
              "attributes": {"a": 1}} for n in range(2)]  # fmt: skip
    return reader(
        "coco",
        {"images": images, "categories": [{"id": 1, "name": "face", "keypoints": []}], "annotations": faces},
    )


def label_studio() -> Parser:
    size = {"original_width": SIDE, "original_height": SIDE}
    regions = [{"id": f"k{n}", "type": "keypointlabels", "image_rotation": 0, "parentID": "R", **size,
                "value": {"x": x * 4, "y": y * 4, "keypointlabels": [str(n)]}} for n, (x, y) in enumerate(FIVE)]  # fmt: skip
    regions += [{"id": "k1", "type": "choices", "value": {"choices": ["occluded"]}, **size},
                {"id": "R", "type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 90, "height": 90}, **size}]  # fmt: skip
    task = {
        "id": 1,
        "data": {"image": "a.jpg"},
        "annotations": [{"id": 1, "was_cancelled": False, "result": regions}],
    }
    return reader("label_studio", [task])


def cvat() -> Parser:
    points = ";".join(f"{x},{y}" for x, y in FIVE)
    skeleton = "".join(
        f'<points label="{n}" outside="0" occluded="0" points="{x},{y}"/>' for n, (x, y) in enumerate(FIVE)
    )
    box = '<box label="head" xtl="1" ytl="1" xbr="20" ybr="20" group_id="1"/>'
    image = (
        f'<image id="0" name="a.jpg" width="{SIDE}" height="{SIDE}"><points label="face" occluded="0" points="{points}" '
        f'group_id="1"><attribute name="a">b</attribute></points><skeleton label="face">{skeleton}</skeleton>{box}</image>'
    )
    content = (
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{image}</annotations>'
    )
    return reader("cvat", content.encode())


def imglab() -> Parser:
    parts = "".join(f"<part name='{n}' x='{x}' y='{y}'/>" for n, (x, y) in enumerate(FIVE))
    image = f"<image file='a.jpg'><box top='1' left='1' width='20' height='20' ignore='0'><label>f</label>{parts}</box></image>"
    return reader("imglab", f"<?xml version='1.0'?><dataset><images>{image}</images></dataset>".encode())


def csv_table() -> Parser:
    header = (
        "path,"
        + ",".join(f"x{k},y{k}" for k in range(5))
        + ",v0,v1,v2,v3,v4,left,top,right,bottom,width,height"
    )
    row = ",".join(str(value) for point in FIVE for value in point) + ",1,0,1,1,1,1,1,20,20,24,24"
    return reader("table", f"{header}\na.jpg,{row}\nb.jpg,{row}\n".encode())


def json_lines() -> Parser:
    row = {
        "points": FIVE,
        "visible": [True] * 5,
        "box": [1, 1, 20, 20],
        "size": [SIDE, SIDE],
        "attributes": {"p": 1},
    }
    rows = [json.dumps({"path": name, **row}) for name in ("a.jpg", "b.jpg")]
    parser = reader("table", "\n".join(rows).encode())
    return Parser(parser.seed, lambda path: parser.read(path.rename(path.with_suffix(".jsonl"))))


def pts() -> Parser:
    lines = "\n".join(f"{x} {y}" for x, y in FIVE)

    def read(path: Path) -> None:
        folder = path.parent / "images"
        (folder / "a.pts").write_bytes(path.read_bytes())
        prepared(
            {
                "reader": "menpo",
                "root": str(folder),
                "subsets": ["."],
                "view": "semifrontal",
                "markup": "mtfl5",
            }
        )

    return Parser(f"version: 1\nn_points: 5\n{{\n{lines}\n}}\n".encode(), read)


def wflw_list() -> Parser:
    numbers = " ".join(f"{5 + n % 13}.5" for n in range(196))
    line = f"{numbers} 1 1 20 20 0 0 1 0 0 1 a.jpg\n"

    def read(path: Path) -> None:
        root = path.parent / "wflw"
        target = root / "WFLW_annotations" / "list_98pt_rect_attr_train_test" / "list_98pt_rect_attr_test.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / "WFLW_images").mkdir(exist_ok=True)
        (root / "WFLW_images" / "a.jpg").write_bytes(jpeg())
        target.write_bytes(path.read_bytes())
        list(open_reader({"reader": "wflw", "root": str(root), "subset": "test"}).records())

    return Parser((line * 2).encode(), read)


def mtfl_list() -> Parser:
    line = (
        "a.jpg " + " ".join(str(x) for x, _ in FIVE) + " " + " ".join(str(y) for _, y in FIVE) + " 1 2 2 3\n"
    )

    def read(path: Path) -> None:
        images = path.parent / "images"
        (images / "training.txt").write_bytes(path.read_bytes())
        prepared({"reader": "mtfl", "root": str(images), "subset": "training"})

    return Parser((line * 2).encode(), read)


def aflw_mat() -> Parser:
    data = np.tile(np.linspace(2, 20, 38), (2, 1))
    content = {"data": data, "mask_new": np.ones((2, 19)), "bbox": np.array([[1, 20, 1, 20]] * 2),
               "nameList": np.array([["a.jpg"], ["b.jpg"]], dtype=object), "ra": np.array([[1, 2]])}  # fmt: skip
    buffer = io.BytesIO()
    savemat(buffer, content)

    def read(path: Path) -> None:
        spec = {"reader": "aflw", "path": str(path), "root": str(path.parent / "images"), "subset": "train"}
        list(open_reader(spec).records())

    return Parser(buffer.getvalue(), read)


def folder_tar() -> Parser:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a.jpg", "x/b.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(jpeg())
            tar.addfile(info, io.BytesIO(jpeg()))

    def read(path: Path) -> None:
        records = open_reader(
            {"reader": "folder", "root": str(path.rename(path.with_suffix(".tar")))}
        ).records()
        prepare_chunk(records, OPTIONS, None)

    return Parser(buffer.getvalue(), read)


def image(content: bytes) -> Parser:
    return Parser(content, lambda path: decode_image(path.read_bytes(), "a", upright=True))


def encoded(kind: str) -> Parser:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x0100: 24, 0x010F: "maker", 0x011A: 72.0})
    given = {"exif": exif} if kind in {"JPEG", "PNG", "WEBP"} else {}
    Image.open(io.BytesIO(jpeg())).save(buffer, kind, **given)
    return image(buffer.getvalue())


def meta() -> SampleMeta:
    return SampleMeta(key="k-1", source="s", image="a.jpg", width=SIDE, height=SIDE, left=0.0, top=0.0, side=24.0,
                      size=32, points=[(x, y) for x, y in FIVE], visible=[True] * 5, attributes={"a": 1})  # fmt: skip


def stored_sample() -> Parser:
    def read(path: Path) -> None:
        sample = StreamSample(0, 0, RawSample("k-1", jpeg(32), path.read_bytes()))
        collate([sample], 32, 5, Quarantine(1.0), ("a",))

    return Parser(encode_meta(meta()), read)


def shard(folder: Path) -> Parser:
    write_shard(str(folder / "s.tar"), [RawSample(f"k-{n}", jpeg(32), encode_meta(meta())) for n in range(3)])
    return Parser((folder / "s.tar").read_bytes(), lambda path: list(iterate_shard(str(path))))


def manifest(folder: Path) -> Parser:
    written = next(path for path in sorted(folder.rglob("manifest.json")))
    return Parser(
        written.read_bytes(), lambda path: load_manifest(str(path.rename(path.with_suffix(".json"))))
    )


def markup_yaml() -> Parser:
    def read(path: Path) -> None:
        load_markup(str(path.rename(path.with_suffix(".yaml"))))

    return Parser(yaml.safe_dump(MARKUP.definition).encode(), read)


def markup_json() -> Parser:
    """A manifest's or a model's own markup, parsed by somebody else."""
    return Parser(json.dumps(MARKUP.definition).encode(), lambda path: _definition(path.read_bytes()))


def _definition(content: bytes) -> None:
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return
    markup_from(raw, "model.json")


ODD = (b"", b"\0", b"\xff", b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"x"', b"true", b"9" * 400, b"../../etc/passwd",
       b"\\ud800", b"\\u0000", b"&a;", b"[" * 5000, b"\r\n", b"\xef\xbb\xbf", b"1_0", b"0x10", b"s3://b/a.jpg")  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """One to three changes: bits flipped, stretches cut, doubled or replaced, JSON values exchanged."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(changed) + 1)
        stop = min(len(changed), start + rng.choice((1, 1, 4, 16, 200)))
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[start % len(changed)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[start:stop]
        elif kind == 2:
            changed[start:start] = changed[start:stop]
        elif kind == 3:
            changed[start:stop] = rng.choice(ODD)
        elif kind == 4:
            del changed[start:]
        else:
            changed = bytearray(_other_value(bytes(changed), rng))
    return bytes(changed)


def _other_value(content: bytes, rng: random.Random) -> bytes:
    """JSON with one value, anywhere in it, replaced by one of another type; anything else with a number replaced."""
    try:
        root = json.loads(content)
    except (ValueError, RecursionError):
        words = content.split(b" ")
        words[rng.randrange(len(words))] = rng.choice(ODD)
        return b" ".join(words)
    places = []
    _places(root, places)
    if not places:
        return content
    holder, key = rng.choice(places)
    holder[key] = rng.choice(
        (None, -1, 0, 1e30, 10**400, True, "", "x", "\ud800", "a\0b", [], [[]], {}, {"x": 1}, float("inf"))
    )
    return json.dumps(root).encode()


def _places(node: object, found: list) -> None:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(entries):
        found.append((node, key))
        _places(value, found)


PARSERS = {
    "coco": lambda _: coco(),
    "label_studio": lambda _: label_studio(),
    "cvat": lambda _: cvat(),
    "imglab": lambda _: imglab(),
    "csv": lambda _: csv_table(),
    "jsonl": lambda _: json_lines(),
    "pts": lambda _: pts(),
    "wflw": lambda _: wflw_list(),
    "mtfl": lambda _: mtfl_list(),
    "aflw": lambda _: aflw_mat(),
    "tar": lambda _: folder_tar(),
    "jpeg": lambda _: encoded("JPEG"),
    "png": lambda _: encoded("PNG"),
    "webp": lambda _: encoded("WEBP"),
    "tiff": lambda _: encoded("TIFF"),
    "gif": lambda _: encoded("GIF"),
    "bmp": lambda _: encoded("BMP"),
    "sample": lambda _: stored_sample(),
    "shard": shard,
    "manifest": manifest,
    "markup": lambda _: markup_yaml(),
    "definition": lambda _: markup_json(),
}


def looked_at(parser: Parser, suffix: str) -> Parser:
    """The same file as ``landmarks new data`` reads it; what it would write must be what it says."""

    def read(path: Path) -> None:
        path = path.rename(path.with_suffix(suffix))
        own = own_data(sniff(str(path), images=str(path.parent / "images")), "mine")
        assert markup_from(yaml.safe_load(markup_text(own)), path) == own.markup or own.packaged
        with suppress(DataError):  # a single face that can be used is refused here
            section = yaml.safe_load(config_text(own, "mine", "mtfl5"))["prepare"]
            assert section["sets"][0]["reader"] == own.found.spec("mtfl5")

    return Parser(parser.seed, read)


PARSERS |= {
    "new-coco": lambda _: looked_at(coco(), ".json"),
    "new-label_studio": lambda _: looked_at(label_studio(), ".json"),
    "new-cvat": lambda _: looked_at(cvat(), ".xml"),
    "new-imglab": lambda _: looked_at(imglab(), ".xml"),
    "new-csv": lambda _: looked_at(csv_table(), ".csv"),
}


class HangError(BaseException):
    """No parser may catch it."""


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def place(tmp_path, toy_sets) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "images" / name).write_bytes(jpeg())
    (tmp_path / "set").symlink_to(toy_sets["train"])
    (tmp_path / "set-manifest").mkdir()
    (tmp_path / "set-manifest" / "manifest.json").write_bytes(
        (toy_sets["train"] / "manifest.json").read_bytes()
    )
    return tmp_path


def run(name: str, count: int, place: Path) -> dict[str, int]:
    """Read so many damaged files; returns how many were taken, faces within them left out or not, and how many refused."""
    parser = PARSERS[name](place)
    outcome = {"taken": 0, "refused": 0}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        content = damaged(parser.seed, random.Random(f"{name}-{number}"))
        path = place / f"{name}-{number}.csv"
        path.write_bytes(content)
        try:
            with bounded(SECONDS), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parser.read(path)
            outcome["taken"] += 1
        except LandmarkError:
            outcome["refused"] += 1
        except BaseException as error:
            raise AssertionError(
                f"{name} {number}: {type(error).__name__}: {error}; {content[:300]!r}"
            ) from error
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < GROWTH, f"{name}: {grown} bytes more"
    return outcome


@pytest.mark.parametrize("name", PARSERS)
def test_a_sound_file_is_read(name, place):
    parser = PARSERS[name](place)
    path = place / "sound.csv"
    path.write_bytes(parser.seed)
    parser.read(path)


@pytest.mark.parametrize("name", PARSERS)
def test_damage_is_taken_or_refused(name, place):
    assert sum(run(name, 24, place).values()) == 24


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_much_damage_is_taken_or_refused(name, place):
    assert sum(run(name, 600, place).values()) == 600
