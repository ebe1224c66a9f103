"""Denoisers: one file a family, each a building function and its recipes."""
