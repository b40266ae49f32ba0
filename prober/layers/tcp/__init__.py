"""The tcp layer: the connection, and what is said on it."""
