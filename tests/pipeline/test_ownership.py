"""One owner at a time: of this host, of another, of one that was killed, on a disk and in a store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline import ownership
from pipeline.errors import OwnedError, StorageError
from pipeline.ownership import NOTE, Owner, owned
from pipeline.storage import exists, read_text, write_text

REMEDY = "choose another name"


def own(folder, said=None, **options):
    return owned(str(folder), "run 'a'", REMEDY, (said if said is not None else []).append, **options)


def note(folder) -> Owner:
    return Owner.model_validate(json.loads(read_text(f"{folder}/{NOTE}")))


@pytest.fixture(params=["", "memory://"])
def folder(request, tmp_path, monkeypatch) -> str:
    monkeypatch.setattr(ownership, "_SETTLE_S", 0.01)
    return f"{request.param}{tmp_path}/runs/a"


def test_the_second_is_refused_by_name_and_the_next_is_not(folder):
    with own(folder):
        with pytest.raises(OwnedError) as refused, own(folder):
            raise AssertionError("both work there")
        said = str(refused.value)
        assert f"process {note(folder).pid} on {note(folder).host}, since " in said
        assert REMEDY in said
        # To be refused changes nothing.
        with pytest.raises(OwnedError), own(folder):
            raise AssertionError("both work there")
        write_text(f"{folder}/work", "done")
    assert not exists(f"{folder}/{NOTE}")
    with own(folder, said := []):
        pass
    assert said == []
    assert read_text(f"{folder}/work") == "done"


def test_nothing_is_left_of_work_that_left_nothing(tmp_path):
    with pytest.raises(ValueError, match="bad config"), own(tmp_path / "runs" / "a"):
        raise ValueError("bad config")
    assert not (tmp_path / "runs" / "a").exists()


def test_a_killed_process_of_this_host_is_taken_over_at_once(folder):
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=-1
    )
    child.stdout.readline()
    import psutil

    with own(folder):
        mine = note(folder)
    theirs = mine.model_copy(update={"pid": child.pid, "started": psutil.Process(child.pid).create_time()})
    write_text(f"{folder}/{NOTE}", theirs.model_dump_json())
    with pytest.raises(OwnedError, match=f"process {child.pid}"), own(folder):
        raise AssertionError("it lives")
    child.kill()
    child.wait()
    began = time.monotonic()
    with own(folder, said := [], stale_s=600.0):
        assert note(folder).pid == mine.pid
    assert time.monotonic() - began < 60
    assert said == [f"run 'a': taken over from {theirs}, which is gone"]


def test_a_later_process_of_the_same_id_is_another(folder):
    with own(folder):
        mine = note(folder)
    write_text(f"{folder}/{NOTE}", mine.model_copy(update={"started": mine.started - 3600}).model_dump_json())
    with own(folder, said := [], stale_s=600.0):
        pass
    assert len(said) == 1


def other_host(mine: Owner, **changes) -> Owner:
    return mine.model_copy(update={"host": "node7", "machine": "another boot/pid:[1]", **changes})


def test_silence_tells_that_an_owner_on_another_host_is_gone(folder):
    with own(folder):
        mine = note(folder)
    write_text(f"{folder}/{NOTE}", other_host(mine).model_dump_json())
    with own(folder, said := [], stale_s=0.3):
        pass
    assert "process" in said[0]
    assert "on node7" in said[0]
    # Whose note is hours old need not be watched.
    write_text(f"{folder}/{NOTE}", other_host(mine, beat=mine.beat - 5 * 3600).model_dump_json())
    began = time.monotonic()
    with own(folder, stale_s=600.0):
        pass
    assert time.monotonic() - began < 60


def test_an_owner_on_another_host_speaks_and_is_left_alone(folder):
    with own(folder):
        theirs = other_host(note(folder))
    write_text(f"{folder}/{NOTE}", theirs.model_dump_json())
    stop = threading.Event()

    def speak() -> None:
        beat = theirs.beat
        while not stop.wait(0.05):
            beat += 1
            write_text(f"{folder}/{NOTE}", theirs.model_copy(update={"beat": beat}).model_dump_json())

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        with pytest.raises(OwnedError, match="on node7"), own(folder, stale_s=60.0):
            raise AssertionError("it lives")
    finally:
        stop.set()
        speaker.join()


def test_a_note_is_renewed_and_one_that_was_taken_over_is_not(folder, monkeypatch):
    monkeypatch.setattr(ownership, "BEAT_S", 0.05)
    with own(folder, said := []):
        first = note(folder)
        deadline = time.monotonic() + 60
        while note(folder).beat == first.beat:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        theirs = other_host(first, token="theirs")
        write_text(f"{folder}/{NOTE}", theirs.model_dump_json())
        while not said:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "on node7" in said[0]
        assert note(folder) == theirs
    # Nor is it removed by whom it does not belong to.
    assert note(folder) == theirs


def test_of_many_at_once_one_works(folder):
    inside, most, refused, guard = 0, 0, 0, threading.Lock()
    start = threading.Barrier(6)

    def work() -> None:
        nonlocal inside, most, refused
        start.wait()
        try:
            with own(folder):
                with guard:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.3)
                with guard:
                    inside -= 1
        except OwnedError:
            with guard:
                refused += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert refused >= 1


@pytest.mark.parametrize("text", ["", "{", '{"pid": "many"}', "[]"])
def test_what_is_no_note_holds_nobody_up(tmp_path, text):
    (tmp_path / NOTE).write_text(text)
    with own(tmp_path):
        assert note(tmp_path).host


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError, match=str(blocked)), own(Path(blocked) / "runs"):
        raise AssertionError("nobody can work there")
