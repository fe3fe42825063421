"""Readers: one data set per file, each yielding face records."""
