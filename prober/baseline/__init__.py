"""Latency baselines: what was usual, what has changed since, where, since when and by how much."""
