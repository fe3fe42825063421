"""The step, the engines, checkpoints, averaging and tracking."""
