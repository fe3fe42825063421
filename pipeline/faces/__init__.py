"""From a picture to a face crop: detection, crop geometry, near-duplicates."""
