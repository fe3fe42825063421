"""Inference: from trained weights to landmarks."""
