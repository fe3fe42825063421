"""Metrics, protocols, plots and the report."""
