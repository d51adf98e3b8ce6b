"""How the store's schema grew: one file a step, forward only. ``database.py`` runs them."""
