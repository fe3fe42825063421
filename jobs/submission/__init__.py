"""The parts of ``landmarks submit`` and ``landmarks jobs``: the request, its package and environment, the job server."""
