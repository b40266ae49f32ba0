"""Runs → blocks of ten minutes → banks of detectors → store: baselines and budgets on quantiles, live."""
