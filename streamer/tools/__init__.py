"""Programs for operators: the live table, dead letters, capacity planning, evaluation, the demo."""
