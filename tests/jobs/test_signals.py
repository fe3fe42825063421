"""Commands that are told to end: what they exit with, and that the handlers of Ray do not stay."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from jobs.signals import TERMINATED, exit_code_of_signals, heed_sigterm, ray_train_signals

# Waits as a command waits for Ray; cleans up, and says so.
COMMAND = """
import signal, sys, time
from jobs.signals import exit_code_of_signals, heed_sigterm
heed_sigterm()
with exit_code_of_signals():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("in order", flush=True)
        if "slowly" in sys.argv:
            time.sleep(60)
"""


def command(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def handlers():
    """Puts back what a test changes."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_ends_a_command_in_order_with_the_shell_s_code():
    process = command()
    process.terminate()
    assert process.communicate(timeout=30)[0] == "in order\n"
    assert process.returncode == TERMINATED == 143


def test_a_second_one_ends_it_at_once():
    process = command("slowly")
    process.terminate()
    assert process.stdout.readline() == "in order\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_ray_s_bare_number_is_put_right_and_other_codes_are_left():
    def exit_code(code) -> object:
        with pytest.raises(SystemExit) as ended, exit_code_of_signals():
            raise SystemExit(code)
        return ended.value.code

    assert [exit_code(code) for code in (15, 2, 0, None, 130)] == [143, 2, 0, None, 130]


def test_what_ray_train_does_to_ctrl_c_ends_with_its_training(handlers):
    def ours(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, ours)

    def fit(end: BaseException | None) -> None:
        # As Ray Train's ``fit``: its handler stays, and leaves the process.
        signal.signal(signal.SIGINT, lambda number, frame: sys.exit(0))
        if end is not None:
            raise end

    with ray_train_signals():
        fit(None)
    assert signal.getsignal(signal.SIGINT) is ours
    for end in (SystemExit(0), SystemExit("Exit code: 0."), KeyboardInterrupt()):
        with pytest.raises(KeyboardInterrupt), ray_train_signals():
            fit(end)
        assert signal.getsignal(signal.SIGINT) is ours
    with pytest.raises(ValueError, match="as it was"), ray_train_signals():
        fit(ValueError("as it was"))


def test_a_training_in_a_thread_leaves_signals_alone(handlers):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def work() -> None:
        heed_sigterm()
        with ray_train_signals():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
