"""Simulated devices: synthetic people and recordings, published as phones would publish them."""
