"""Metrics: definitions, sufficient statistics, and estimates with bootstrap intervals."""
