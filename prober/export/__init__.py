"""What leaves the prober: metrics, and runs as JSON. `series`, `runs` and `cells` do without prometheus_client."""
