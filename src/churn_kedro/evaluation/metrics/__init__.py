"""Metrics: their definitions, what they are computed from, and estimates with bootstrap intervals."""
