"""Benchmarks: one file each. ``python -m bench NAME`` runs one and ends with a line of JSON."""
