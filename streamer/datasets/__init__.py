"""Recordings and feature tables: reading, converting and describing them; disk and S3."""
