"""Measurements, as ratios within one run: `python -m benchmarks`. None of them is a test."""
