"""Speed measured as ratios: each side in turn on the same machine, against a plain program that does the same work."""
