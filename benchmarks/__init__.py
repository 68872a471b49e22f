"""Figures of time and memory, each by one command: `python -m benchmarks.NAME`."""
