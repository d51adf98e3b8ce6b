"""Fetches model files: what a name means, if it fits, the bytes, and whether they are right."""
