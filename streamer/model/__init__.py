"""What a model is when it runs: its file, its card, how its classes divide; the shipped model."""
