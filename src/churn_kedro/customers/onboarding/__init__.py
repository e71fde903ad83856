"""Inference of a first declaration from a customer table."""
