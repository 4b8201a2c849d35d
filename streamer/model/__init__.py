"""Models: data sets, training, evaluation, the one that ships."""
