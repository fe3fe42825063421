"""What ``landmarks submit`` and ``landmarks jobs`` are made of: the request, its package and environment, the job server."""
