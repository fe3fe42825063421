"""``python -m jobs.bench …`` is ``landmarks bench …``."""

if __name__ == "__main__":
    from jobs.cli import main

    main("bench")
