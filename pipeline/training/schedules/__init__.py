"""The learning-rate schedules, a file each, which ends with ``SCHEDULE = …``."""
