"""Metrics, one family per file: numpy in, float64 out, as ratios (0.04), not percentages."""
