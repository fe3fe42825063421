"""Faces in images: detection, crop geometry, near-duplicates."""
