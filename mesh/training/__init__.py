"""Fits the scorer and its calibrations from outcomes; the only part of deskmesh that needs numpy."""
