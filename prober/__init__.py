"""A layered, dual-stack network prober: which layer failed, on which path, from which vantage."""

__version__ = "0.1.0"
