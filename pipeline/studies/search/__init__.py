"""The findings of a hyperparameter search: records, comparison, importance, charts, report and progress table. No Ray here."""
