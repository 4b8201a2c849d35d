"""Models that can be asked, wherever they run."""
