"""From trained weights to landmarks."""
