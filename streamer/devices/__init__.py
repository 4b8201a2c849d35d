"""Devices that are none: recordings and synthetic people, published the way phones would."""
