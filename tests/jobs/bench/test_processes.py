"""CPU time is counted over everything that a command starts, whoever its parent is by then."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from jobs.bench.processes import measure
from pipeline.errors import TrainingError

# A parent that ends at once, and a child in a session of its own that works on for half a second of CPU time.
_ORPHAN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"], start_new_session=True)
print("left it alone")
"""


def test_what_outlives_its_parent_is_counted() -> None:
    usage = measure([sys.executable, "-c", _ORPHAN])
    assert usage.output == "left it alone\n"
    assert usage.cpu_s > 0.4
    assert usage.cpu_s == pytest.approx(sum(usage.processes.values()))


def test_a_process_that_waits_costs_nothing() -> None:
    usage = measure([sys.executable, "-S", "-c", "import time; time.sleep(1.0)"])
    assert usage.wall_s > 1.0
    assert usage.cpu_s < usage.wall_s


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(TrainingError, match=r"ended with status 3: no such thing"):
        measure([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])


def test_afterwards_orphans_go_where_they_went_before() -> None:
    measure([sys.executable, "-S", "-c", "pass"])
    orphan = (
        "import subprocess, sys; sleeper = [sys.executable, '-S', '-c', 'import time; time.sleep(30)'];"
        "print(subprocess.Popen(sleeper, stdout=subprocess.DEVNULL).pid)"
    )
    left = psutil.Process(int(subprocess.check_output([sys.executable, "-S", "-c", orphan])))
    assert left.ppid() != os.getpid()
    left.kill()
