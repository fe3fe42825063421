"""Reading shards: agreement with tarfile, and refusal of everything that is no shard."""

from __future__ import annotations

import io
import tarfile

import pytest

from pipeline.errors import ShardError
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.write import write_shard

SAMPLES = [RawSample(f"key-{i}", bytes([i]) * (i * 257), b'{"i": %d}' % i) for i in range(12)]


def write_tar(path, members, format=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.fixture
def shard(tmp_path):
    write_shard(str(tmp_path / "a.tar"), SAMPLES)
    return tmp_path / "a.tar"


def test_same_samples_as_tarfile_finds(shard):
    with tarfile.open(shard) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]
    expected = [part for s in SAMPLES for part in ((f"{s.key}.jpg", s.jpg), (f"{s.key}.json", s.json))]
    assert members == expected
    assert list(iterate_shard(str(shard))) == SAMPLES


def test_reads_what_other_tools_write(tmp_path):
    members = [part for s in SAMPLES for part in ((f"{s.key}.jpg", s.jpg), (f"{s.key}.json", s.json))]
    assert list(iterate_shard(write_tar(tmp_path / "b.tar", members))) == SAMPLES
    assert list(iterate_shard(write_tar(tmp_path / "c.tar", members, tarfile.GNU_FORMAT))) == SAMPLES


def test_url(shard):
    assert list(iterate_shard(f"file://{shard}")) == SAMPLES
    import fsspec

    with fsspec.open("memory://shards/a.tar", "wb") as file:
        file.write(shard.read_bytes())
    assert list(iterate_shard("memory://shards/a.tar")) == SAMPLES


def test_every_truncation_is_noticed(shard):
    content = shard.read_bytes()
    end = content.rstrip(b"\0")
    for length in [*range(0, len(end) + 512, 331), len(end)]:
        shard.write_bytes(content[:length])
        with pytest.raises(ShardError, match=r"a\.tar: "):
            list(iterate_shard(str(shard)))


def test_truncation_names_tar_and_member_after_the_whole_samples(shard):
    content = shard.read_bytes()
    shard.write_bytes(content[: content.index(b"key-7.jpg") + 600])
    reader = iterate_shard(str(shard))
    assert [next(reader) for _ in range(7)] == SAMPLES[:7]
    with pytest.raises(ShardError, match=r"a\.tar: the tar is truncated in member 'key-7\.jpg'; copy"):
        next(reader)


def test_damaged_header(shard):
    content = bytearray(shard.read_bytes())
    content[content.index(b"key-3.jpg")] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(ShardError, match=r"a\.tar: after 'key-2\.json': the header of .* is damaged"):
        list(iterate_shard(str(shard)))
    shard.write_bytes(b"no tar at all" * 100)
    with pytest.raises(ShardError, match="after its start: no tar header here"):
        list(iterate_shard(str(shard)))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["a.jpg", "b.jpg"], r"'a\.jpg' is followed by 'b\.jpg', not by 'a\.json'"),
        (["a.json", "a.jpg"], r"member 'a\.json' where KEY\.jpg was due"),
        (["a.jpg"], r"'a\.jpg' is followed by the end"),
        (["../a.jpg", "../a.json"], r"member '\.\./a\.jpg' where"),
        (["/a.jpg", "/a.json"], r"member '/a\.jpg' where"),
        (["x/a.jpg", "x/a.json"], r"member 'x/a\.jpg' where"),
        (["a.b.jpg", "a.b.json"], r"member 'a\.b\.jpg' where"),
        ([".jpg", ".json"], r"member '\.jpg' where"),
    ],
)
def test_wrong_members(tmp_path, members, message):
    with pytest.raises(ShardError, match=message):
        list(iterate_shard(write_tar(tmp_path / "a.tar", [(name, b"x") for name in members])))


def test_links_and_extended_headers_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ShardError, match=r"member 'a\.jpg' is no plain USTAR file"):
        list(iterate_shard(str(tmp_path / "a.tar")))
    long = write_tar(tmp_path / "b.tar", [("k" * 120 + ".jpg", b"x")], tarfile.PAX_FORMAT)
    with pytest.raises(ShardError, match="is no plain USTAR file"):
        list(iterate_shard(long))


def test_missing_shard(tmp_path):
    with pytest.raises(ShardError, match=r"gone\.tar: no such shard"):
        list(iterate_shard(str(tmp_path / "gone.tar")))


@pytest.mark.parametrize("size", [b"77777777777", b"-0000000001", b"02000000001"])
def test_a_header_that_claims_more_than_any_face_is_refused_unread(shard, size):
    content = bytearray(shard.read_bytes())
    header = content[:512]
    header[124:136] = size + b"\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    shard.write_bytes(header + content[512:])
    with pytest.raises(ShardError, match="claims|no tar header"):
        list(iterate_shard(str(shard)))
