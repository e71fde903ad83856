"""Figures, one module per subject."""
