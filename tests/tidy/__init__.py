"""Tests of the repository itself: its walls, its shape, its setup."""
