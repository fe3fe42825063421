"""Thin entry points, one per verb, and the command line. Ray lives here."""
