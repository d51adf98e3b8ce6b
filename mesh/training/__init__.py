"""Fits the scorer and its calibrations from outcomes; all that needs numpy is here."""
