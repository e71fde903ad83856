"""Churn, from a raw customer table to a governed model and a scored customer list."""

__version__ = "0.1.0"
