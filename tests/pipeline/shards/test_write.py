"""Writing shards: same bytes for the same samples, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import DataError, ShardError
from pipeline.shards.manifest import SampleMeta
from pipeline.shards.read import _KEY, RawSample, iterate_shard
from pipeline.shards.write import encode_meta, sample_key, write_shard

SAMPLES = [RawSample(f"key-{i}", bytes([i]) * 1000, b"{}") for i in range(5)]


def test_same_samples_same_bytes(tmp_path):
    first = write_shard(str(tmp_path / "a" / "s.tar"), SAMPLES)
    second = write_shard(str(tmp_path / "b" / "s.tar"), iter(SAMPLES))
    content = (tmp_path / "a" / "s.tar").read_bytes()
    assert content == (tmp_path / "b" / "s.tar").read_bytes()
    assert first == second
    assert (first.path, first.samples, first.bytes) == ("s.tar", 5, len(content))
    assert first.sha256 == hashlib.sha256(content).hexdigest()


def test_members_tell_nothing_of_time_and_user(tmp_path):
    write_shard(str(tmp_path / "s.tar"), SAMPLES)
    with tarfile.open(tmp_path / "s.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {
            (0, 0, 0, "landmarks", "landmarks")
        }


def test_webdataset_reads_it(tmp_path):
    import webdataset

    write_shard(str(tmp_path / "s.tar"), SAMPLES)
    data = webdataset.WebDataset(str(tmp_path / "s.tar"), shardshuffle=False)
    assert [(s["__key__"], s["jpg"]) for s in data] == [(s.key, s.jpg) for s in SAMPLES]


def test_empty_and_repeated_leave_nothing_behind(tmp_path):
    with pytest.raises(ShardError, match="at least one sample"):
        write_shard(str(tmp_path / "s.tar"), [])
    with pytest.raises(ShardError, match="two samples have the key 'key-0'"):
        write_shard(str(tmp_path / "s.tar"), [*SAMPLES, SAMPLES[0]])
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_a_clear_error_and_keeps_the_older_file(tmp_path):
    path = tmp_path / "s.tar"
    write_shard(str(path), SAMPLES)
    before = path.read_bytes()
    # In a process of its own: the limit stands for a disk that fills up in the middle of the write.
    script = f"""
import resource, signal
from pipeline.errors import StorageError
from pipeline.shards.read import RawSample
from pipeline.shards.write import write_shard
import webdataset
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    write_shard({str(path)!r}, (RawSample(f"k{{i}}", bytes(9000), b"{{}}") for i in range(1000)))
except StorageError as error:
    print("StorageError", error)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"StorageError {path}: the disk is full" in run.stdout
    assert "run the same command again" in run.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["s.tar"]
    assert path.read_bytes() == before


@example("", "/")
@given(st.text(max_size=200), st.text(min_size=1, max_size=300))
def test_any_name_gives_a_safe_key(source, name):
    try:
        f"{source}{name}".encode()
    except UnicodeEncodeError:
        return  # lone surrogates: no file system name that Python could hand us as text
    key = sample_key(source, name)
    assert _KEY.fullmatch(key)
    assert len(f"{key}.json") <= 100


def test_names_that_look_alike_keep_different_keys():
    names = [
        "a/b.jpg",
        "a-b.jpg",
        "a_b.jpg",
        "a/b.png",
        "a.b.jpg",
        "ä/b.jpg",
        "x" * 90 + "1",
        "y" + "x" * 89 + "1",
    ]
    assert len({sample_key("s", name) for name in names}) == len(names)
    assert sample_key("300w", "helen/trainset/1_1.jpg").startswith("300w-helen-trainset-1_1-")


def test_meta_is_canonical_and_comes_back(tmp_path):
    meta = SampleMeta(
        key="k",
        source="s",
        image="n.jpg",
        width=9,
        height=8,
        left=0.5,
        top=-1,
        side=4,
        size=80,
        points=[(1.25, 2)],
    )
    content = encode_meta(meta)
    assert SampleMeta.model_validate_json(content) == meta
    assert content == json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    write_shard(str(tmp_path / "s.tar"), [RawSample("k", b"x", content)])
    assert next(iterate_shard(str(tmp_path / "s.tar"))).json == content


def test_not_a_number_never_reaches_the_disk():
    meta = SampleMeta(
        key="k",
        source="s",
        image="n.jpg",
        width=9,
        height=8,
        left=0,
        top=0,
        side=4,
        size=80,
        attributes={"yaw": float("nan")},
    )
    with pytest.raises(DataError, match=r"s: n\.jpg: a number is not finite"):
        encode_meta(meta)
