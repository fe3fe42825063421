"""One network per file."""
