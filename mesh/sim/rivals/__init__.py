"""Other ways to pick a machine, and an oracle, to hold our routing against."""
