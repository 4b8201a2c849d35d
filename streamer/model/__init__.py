"""A model at run time: its file, its card, its tree of classes; the shipped model."""
