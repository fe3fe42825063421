"""What a hyperparameter search found: records, comparison, importance, charts, report and progress table. No Ray here."""
