"""Decoding against the known geometry of toy faces; bad samples; order; errors and the end of the background thread."""

import io
import json
import threading
import time
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import ManifestError, TrainingError
from pipeline.shards.loader import BatchLoader, Quarantine, collate
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import order_for
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.stream import SampleStream, StreamSample
from pipeline.shards.write import write_shard

SIZE = 80


def raws(folder) -> list[RawSample]:
    manifest = load_manifest(str(folder))
    return [raw for s in manifest.shards for raw in iterate_shard(str(folder / s.path))]


def stream(folder, **place) -> SampleStream:
    counts = [s.samples for s in load_manifest(str(folder)).shards]
    return SampleStream(str(folder), order_for(counts, streams=4, seed=3, buffer=8), **place)


def samples_of(folder) -> list[StreamSample]:
    return [StreamSample(i, i, raw) for i, raw in enumerate(raws(folder))]


def with_json(sample: StreamSample, **changes) -> StreamSample:
    meta = json.loads(sample.raw.json) | changes
    return StreamSample(sample.index, sample.ordinal, sample.raw._replace(json=json.dumps(meta).encode()))


def with_jpg(sample: StreamSample, jpg: bytes) -> StreamSample:
    return StreamSample(sample.index, sample.ordinal, sample.raw._replace(jpg=jpg))


@pytest.fixture
def samples(toy_sets) -> list[StreamSample]:
    return samples_of(toy_sets["train"])[:4]


def test_points_are_in_stored_pixels(samples):
    batch = collate(samples, SIZE, 68, Quarantine(0.0))
    for place, sample in enumerate(samples):
        meta = json.loads(sample.raw.json)
        # The square starts at edge (10, 6) and 120 px of the image became 80.
        x = [(px + 0.5 - 10.0) * 80 / 120 - 0.5 for px, _ in meta["points"]]
        y = [(py + 0.5 - 6.0) * 80 / 120 - 0.5 for _, py in meta["points"]]
        np.testing.assert_allclose(batch.points_BK2[place, :, 0].numpy(), x, atol=1e-5)
        np.testing.assert_allclose(batch.points_BK2[place, :, 1].numpy(), y, atol=1e-5)
    assert batch.points_BK2.dtype == torch.float32
    np.testing.assert_allclose(batch.scale_B.numpy(), 80 / 120)


def test_the_detectors_points_are_in_stored_pixels_where_a_detector_found_the_face(samples, toy_sets):
    five = [[40.0, 50.0], [80.0, 50.0], [60.0, 70.0], [45.0, 90.0], [75.0, 90.0]]
    having = [
        with_json(samples[0], five=five, five_source="detector"),
        with_json(samples[1], five=five, five_source="landmarks"),
        with_json(samples[2], five=None),
    ]
    batch = collate(having, SIZE, 68, Quarantine(0.0))
    expected = (np.array(five) + 0.5 - (10.0, 6.0)) * 80 / 120 - 0.5
    np.testing.assert_allclose(batch.five_B52[0].numpy(), expected, atol=1e-5)
    assert batch.five_B52[1:].isnan().all()
    unlabelled = [with_json(s, five=five) for s in samples_of(toy_sets["unlabelled"])[:2]]
    found = collate(unlabelled, SIZE, 0, Quarantine(0.0)).five_B52
    np.testing.assert_allclose(found[1].numpy(), expected, atol=1e-5)


def test_attributes_of_each_face_in_the_order_asked_for(samples):
    having = [with_json(s, attributes={"blur": i % 2, "pose": i == 0}) for i, s in enumerate(samples)]
    batch = collate(having, SIZE, 68, Quarantine(0.0), ("pose", "blur"))
    assert batch.labels_BC.tolist() == [[True, False], [False, True], [False, False], [False, True]]
    assert collate(having, SIZE, 68, Quarantine(0.0)).labels_BC is None


def test_a_face_without_the_attribute_is_quarantined(samples):
    wrong = [
        with_json(samples[0], attributes={"pose": 2}),
        with_json(samples[1], attributes={"blur": 1}),
        with_json(samples[2], attributes={"pose": 1}),
    ]
    quarantine = Quarantine(1.0)
    batch = collate(wrong, SIZE, 68, quarantine, ("pose",))
    assert batch.valid_B.tolist() == [False, False, True]
    assert batch.labels_BC.tolist() == [[False], [False], [True]]
    first, second = quarantine.entries.values()
    assert "'pose' is 2, expected 0 or 1" in first
    assert "no attribute 'pose' (it has: blur)" in second


@pytest.mark.parametrize("threads", [1, 2])
def test_the_loader_hands_attributes_on(toy_sets, threads):
    loader = BatchLoader(stream(toy_sets["train"]), 6, threads=threads, attributes=("rare",))
    try:
        batch = loader.next()
    finally:
        loader.close()
    known = {raw.key: json.loads(raw.json)["attributes"]["rare"] for raw in raws(toy_sets["train"])}
    assert batch.labels_BC[:, 0].tolist() == [bool(known[key]) for key in batch.keys]


def test_images_are_the_stored_ones_channels_first(samples):
    batch = collate(samples, SIZE, 68, Quarantine(0.0))
    expected = [np.asarray(Image.open(io.BytesIO(s.raw.jpg)).convert("RGB")) for s in samples]
    assert batch.images_B3SS.dtype == torch.uint8
    np.testing.assert_array_equal(batch.images_B3SS.numpy(), np.stack(expected).transpose(0, 3, 1, 2))
    assert batch.valid_B.tolist() == [True] * 4
    assert batch.keys == [s.raw.key for s in samples]


def test_points_lie_on_the_drawn_dots(toy_sets):
    # Each toy landmark is a dark dot: darker, on the mean over many, than its surroundings 4 px away.
    batch = collate(samples_of(toy_sets["train"]), SIZE, 68, Quarantine(0.0))
    grey = batch.images_B3SS.float().mean(1)
    # A landmark alone: the chin (others run together).
    xy = batch.points_BK2[:, 8].round().long()
    rows = torch.arange(len(xy))
    here = grey[rows, xy[:, 1], xy[:, 0]]
    away = torch.stack([grey[rows, (xy[:, 1] + dy).clamp(0, 79), xy[:, 0]] for dy in (-5, 5)]).mean(0)
    assert (away - here).mean() > 20


def test_unlabelled_samples_have_no_landmarks(toy_sets):
    batch = collate(samples_of(toy_sets["unlabelled"])[:3], SIZE, 0, Quarantine(0.0))
    assert batch.points_BK2.shape == (3, 0, 2)
    assert batch.visible_BK.shape == (3, 0)
    assert batch.valid_B.all()


def test_unknown_positions_are_nan_and_visibility_is_kept(samples):
    meta = json.loads(samples[0].raw.json)
    points = [None if k == 5 else p for k, p in enumerate(meta["points"])]
    visible = [k != 7 for k in range(68)]
    batch = collate([with_json(samples[0], points=points, visible=visible)], SIZE, 68, Quarantine(0.0))
    assert torch.isnan(batch.points_BK2[0, 5]).all()
    assert batch.points_BK2[0].isfinite().all(dim=-1).sum() == 67
    assert batch.visible_BK[0].tolist() == visible


def _jpeg(size: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "JPEG")
    return buffer.getvalue()


BROKEN = {
    "no image": (lambda s: with_jpg(s, b"not an image"), "cannot identify image"),
    "truncated": (lambda s: with_jpg(s, s.raw.jpg[: len(s.raw.jpg) // 2]), "truncated"),
    "other size": (lambda s: with_jpg(s, _jpeg(64)), "64×64, the manifest says 80×80"),
    "not JSON": (
        lambda s: StreamSample(s.index, s.ordinal, s.raw._replace(json=b"{")),
        "JSONDecodeError",
    ),
    "a field is missing": (lambda s: with_json(s, points=None), "TypeError"),
    "too few landmarks": (lambda s: with_json(s, points=[(1.0, 2.0)] * 5), "5 landmarks"),
    "ragged landmarks": (lambda s: with_json(s, points=[[1.0]] + [(1.0, 2.0)] * 67), "ValueError"),
    "wrong visibility": (lambda s: with_json(s, visible=[True] * 5), "'visible' has 5 entries"),
    "square of no size": (lambda s: with_json(s, side=0), "a square of 0 px"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_unusable_sample_keeps_its_place(samples, kind):
    damage, reason = BROKEN[kind]
    quarantine = Quarantine(0.5)
    batch = collate([samples[0], damage(samples[1]), samples[2]], SIZE, 68, quarantine)
    assert batch.valid_B.tolist() == [True, False, True]
    assert batch.keys == [s.raw.key for s in samples[:3]]
    assert (batch.images_B3SS[1] == 127).all()
    assert torch.isnan(batch.points_BK2[1]).all()
    assert not batch.visible_BK[1].any()
    assert reason in quarantine.entries[samples[1].raw.key]
    assert (quarantine.seen, quarantine.bad) == (3, 1)


def test_a_image_too_large_to_be_true_is_quarantined(samples, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    quarantine = Quarantine(1.0)
    batch = collate(samples[:1], SIZE, 68, quarantine)
    assert not batch.valid_B.any()
    assert "DecompressionBomb" in quarantine.entries[samples[0].raw.key]


def test_a_sample_lost_with_its_tar_is_named_by_its_place(samples):
    quarantine = Quarantine(0.5)
    lost = StreamSample(9, 41, None, "shard-000002.tar: the tar is truncated")
    batch = collate([lost, samples[0]], SIZE, 68, quarantine)
    assert batch.valid_B.tolist() == [False, True]
    assert quarantine.entries == {"ordinal-41": "shard-000002.tar: the tar is truncated"}


def test_few_bad_samples_are_no_rate_yet_and_more_stop_the_run(samples):
    quarantine = Quarantine(0.02)
    bad = with_jpg(samples[1], b"")
    for _ in range(2):
        collate([bad, samples[0]], SIZE, 68, quarantine)
    with pytest.raises(TrainingError) as caught:
        collate([bad, samples[0]], SIZE, 68, quarantine)
    message = str(caught.value)
    assert message.startswith("3 of 6 samples could not be used, over data.max_bad_share = 0.02")
    assert bad.raw.key in message
    assert "landmarks verify" in message
    assert list(quarantine.entries) == [bad.raw.key]


def test_the_rate_is_of_the_samples_seen():
    quarantine = Quarantine(0.01, seen=1000)
    for n in range(10):
        quarantine.record(f"k{n}", "bad")
        quarantine.check()
    quarantine.record("k10", "bad")
    with pytest.raises(TrainingError, match="11 of 1000"):
        quarantine.check()


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_the_stream_in_order(toy_sets, threads):
    source = list(islice(stream(toy_sets["train"]), 96))
    loader = BatchLoader(stream(toy_sets["train"]), 8, threads=threads, prefetch=2)
    try:
        for place, batch in enumerate(islice(loader, 12)):
            chunk = source[8 * place : 8 * place + 8]
            assert batch.keys == [s.raw.key for s in chunk]
            expected = collate(chunk, SIZE, 68, Quarantine(0.0))
            assert torch.equal(batch.images_B3SS, expected.images_B3SS)
            assert torch.equal(batch.points_BK2, expected.points_BK2)
    finally:
        loader.close()


def test_ranks_and_positions_reach_the_loader(toy_sets):
    whole = [s.raw.key for s in islice(stream(toy_sets["train"]), 40)]
    loader = BatchLoader(stream(toy_sets["train"], rank=1, world_size=2, start=8), 4)
    try:
        assert [k for batch in islice(loader, 4) for k in batch.keys] == whole[9:40:2]
    finally:
        loader.close()


def _damaged_set(make_toy_set, folder, damage) -> None:
    make_toy_set(folder, 20)
    name = load_manifest(str(folder)).shards[0].path
    changed = [damage(place, raw) for place, raw in enumerate(iterate_shard(str(folder / name)))]
    write_shard(str(folder / name), changed)


def test_a_damaged_jpeg_is_quarantined_by_the_loader(make_toy_set, tmp_path):
    _damaged_set(
        make_toy_set, tmp_path / "set", lambda place, raw: raw._replace(jpg=b"x") if place == 3 else raw
    )
    loader = BatchLoader(stream(tmp_path / "set"), 10, threads=2, max_bad_share=0.05)
    try:
        batches = list(islice(loader, 2))
    finally:
        loader.close()
    assert sum(int((~b.valid_B).sum()) for b in batches) == 1
    assert list(loader.quarantine.entries) == [
        key for b in batches for key, ok in zip(b.keys, b.valid_B.tolist(), strict=True) if not ok
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_too_many_bad_samples_reach_the_caller_every_time_it_asks(make_toy_set, tmp_path, threads):
    _damaged_set(make_toy_set, tmp_path / "set", lambda _place, raw: raw._replace(jpg=b"x"))
    loader = BatchLoader(stream(tmp_path / "set"), 10, threads=threads)
    try:
        for _ in range(2):  # the second time must not wait for a thread that has ended
            with pytest.raises(TrainingError, match="could not be used"):
                list(islice(loader, 2))
    finally:
        loader.close()


def test_an_error_in_the_background_reaches_the_caller_after_the_batches_before_it(toy_sets):
    class Failing(SampleStream):
        def __iter__(self):
            yield from islice(super().__iter__(), 8)
            raise ManifestError("changed under our feet")

    counts = [s.samples for s in load_manifest(str(toy_sets["train"])).shards]
    failing = Failing(str(toy_sets["train"]), order_for(counts, streams=4, seed=3, buffer=8))
    loader = BatchLoader(failing, 4)
    try:
        assert len(loader.next().keys) == len(loader.next().keys) == 4
        with pytest.raises(ManifestError, match="changed under our feet"):
            loader.next()
    finally:
        loader.close()


def test_close_ends_the_thread_even_when_its_queue_is_full(toy_sets):
    before = set(threading.enumerate())
    loader = BatchLoader(stream(toy_sets["train"]), 4, threads=2, prefetch=1)
    loader.next()
    (thread,) = [t for t in set(threading.enumerate()) - before if t.name == "batch-loader"]
    loader.close()
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        loader.next()


def test_waiting_for_data_is_counted(toy_sets, monkeypatch):
    loader = BatchLoader(stream(toy_sets["train"]), 4)
    clock = iter([10.0, 12.5, 20.0, 20.25])
    try:
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        loader.next()
        assert loader.wait_seconds == 2.5
        loader.next()
        assert loader.wait_seconds == 2.75
    finally:
        monkeypatch.undo()
        loader.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"side": -5.0}, "a square of -5 px"),
        ({"side": 0.0}, "a square of 0 px"),
        ({"side": 1e999}, "a square of inf px"),
        ({"size": float("nan")}, "stored at nan"),
        ({"points": [[1e999, 1.0]] * 68}, "a landmark is not finite"),
        ({"points": [[float("nan"), 1.0]] * 68}, "a landmark is not finite"),
        ({"left": 1e999}, "a landmark is not finite"),
        ({"points": {"a": 1}}, "Error"),
        ({"visible": 5}, "Error"),
    ],
)
def test_numbers_that_place_nothing_are_quarantined(samples, changes, reason):
    quarantine = Quarantine(1.0)
    batch = collate([with_json(samples[0], **changes), samples[1]], SIZE, 68, quarantine)
    assert batch.valid_B.tolist() == [False, True]
    assert reason in next(iter(quarantine.entries.values()))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"null", b"\xff"])
def test_a_sample_of_any_json_is_quarantined(samples, content):
    quarantine = Quarantine(1.0)
    odd = StreamSample(samples[0].index, samples[0].ordinal, samples[0].raw._replace(json=content))
    assert collate([odd], SIZE, 68, quarantine).valid_B.tolist() == [False]
