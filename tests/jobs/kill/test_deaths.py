"""Trainings whose processes die: whichever it is, the same command again ends at the same numbers.

One death of a worker is part of every run of the tests (``tests/jobs/test_train.py``).
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_whoever_of_ray_dies_the_run_goes_on_to_the_bit(undisturbed, training):
    for count, victim in enumerate(("RayTrainWorker", "TrainController", "gcs_server", "driver")):
        training.start()
        training.until(lambda least=6 * count + 5: training.last_step() >= least)
        if victim == "driver":
            training.process.kill()
        else:
            training.kill(victim)
        # Two processes of Ray's own may wait a minute or two for those that are gone.
        code, output = training.ended(leaving=180)
        assert code != 0, victim
        # Ray ends a driver that has lost the GCS where it stands.
        told = victim not in {"gcs_server", "driver"}
        assert training.statuses() == ["FAILED" if told else "RUNNING"], victim
        if told:
            assert "Traceback" not in output, (victim, output)
    training.finish()
    training.is_as(undisturbed)
    assert training.statuses() == ["FINISHED"]


def test_a_raylet_that_dies_takes_the_driver_with_it_and_nothing_is_lost(undisturbed, training):
    training.start()
    training.until(lambda: training.last_step() >= 5)
    training.kill("raylet/raylet")
    # Ray notices after some seconds, in which the workers train on; then it ends the driver where it stands.
    assert training.ended(leaving=180)[0] != 0
    training.finish()
    training.is_as(undisturbed)
    assert training.statuses() == ["FINISHED"]


@pytest.mark.parametrize("step", [4, 12, 20])
def test_a_worker_that_dies_while_a_checkpoint_is_written(undisturbed, training, step):
    training.start()
    training.until(lambda: any(training.folder.glob(f"step-*{step}")))
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    training.finish()
    training.is_as(undisturbed)


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_two_workers_of_any_zero_stage_go_on_to_the_bit(training, make_training, zero):
    size = ("cluster.workers=2", f"cluster.zero_stage={zero}")
    whole = make_training("together")
    whole.finish(*size)
    training.start(*size)
    training.until(lambda: training.last_step() >= 15)
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    if zero:
        training.start("cluster.workers=1", f"cluster.zero_stage={zero}")
        code, output = training.ended()
        assert code != 0
        assert "an optimizer's state cannot be split again" in " ".join(output.split())
    training.finish(*size)
    for rank in (0, 1):
        training.is_as(whole.trace(rank), rank)


def test_a_worker_that_hangs_is_named(training, make_training):
    whole = make_training("together")
    whole.finish("cluster.workers=2")
    training.start("cluster.workers=2", "cluster.collective_timeout_s=20")
    training.until(lambda: training.last_step() >= 15)
    (victim,) = (
        member
        for member in training.family
        if any(file.path.endswith("killed/trace/rank1.jsonl") for file in member.open_files())
    )
    victim.suspend()
    code, output = training.ended(seconds=300)
    said = " ".join(output.split())
    assert code == 2, output
    assert "no worker has made progress for 20 s, and of 2 these do not answer: worker 1 (" in said
    assert f", process {victim.pid}). Look at that machine" in said
    assert training.statuses() == ["FAILED"]
    training.finish("cluster.workers=2")
    for rank in (0, 1):
        training.is_as(whole.trace(rank), rank)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_workers_sees_the_same_faces(undisturbed, training, before, after):
    training.start(f"cluster.workers={before}")
    training.until(lambda: training.last_step() >= 15)
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    reached = training.last_step()
    training.finish(f"cluster.workers={after}")
    workers = training.saw(undisturbed)
    assert workers[0] == before
    assert set(workers[reached + 1 :]) == {after}
