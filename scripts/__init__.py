"""The repository's own tools: setup, stubs and requirements. Not part of what users install."""
