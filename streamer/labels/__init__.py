"""From the scores of a model to the activity that is published: smoothing, beliefs, policy."""
