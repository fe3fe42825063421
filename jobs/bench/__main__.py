"""``python -m jobs.bench …`` is ``landmarks bench …``."""

from jobs.cli import main

main("bench")
