"""Drawing target heatmaps and decoding predicted ones."""
