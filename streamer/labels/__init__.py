"""Labels: from the scores of a model to the activity that is published."""
