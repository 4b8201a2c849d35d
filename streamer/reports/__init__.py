"""Results for people: tables for the terminal, JSON, and pages with pictures."""
