"""Studies made of many trainings: hyperparameter search, and error against the number of faces."""
