"""Denoisers: one module per family, with a building function and its recipes."""
