"""The process that routes: one writer loop around ``mesh.core.fleet``, and the services on it."""
