"""``landmarks submit --to kubernetes`` and ``--to kueue``: a RayJob made of a verb, its config, and the cluster."""
