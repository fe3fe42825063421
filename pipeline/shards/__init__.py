"""WebDataset tars: writing, manifest, verification, and the resumable order of samples."""
