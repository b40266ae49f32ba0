"""One file per layer: what counts as held, which reasons, which evidence. No metrics, no deadlines here."""
