"""Measurements: `python -m benchmarks`, `python -m benchmarks.quality`."""
