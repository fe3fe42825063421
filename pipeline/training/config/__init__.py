"""Configuration: composed from small YAML pieces, strict, overridable by dotted keys."""
