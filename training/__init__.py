"""Data to weights: everything that makes the released checkpoint, and the proof of it."""
