"""The decoders, a file each, which ends with ``DECODER = …``."""
