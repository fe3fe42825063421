"""The library: everything but Ray entry points. Usable without Ray, DeepSpeed or MLflow imported."""
