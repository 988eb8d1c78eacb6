"""Runs as data: made once, recorded, compared."""
