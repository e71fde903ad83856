"""Tests of the project; folders mirror ``src``."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
