"""One paper per file: which generator, decoder and loss, on which outputs."""
