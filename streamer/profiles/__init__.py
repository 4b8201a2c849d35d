"""Profiles: TOML files that say where readings of other devices are, and in which units.

A profile is data, not code: `profile.py` checks it, `shipped/` holds those in the package.
"""
