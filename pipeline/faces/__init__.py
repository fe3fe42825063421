"""From an image to a face crop: detection, crop geometry, near-duplicates."""
