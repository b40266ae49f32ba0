"""The tls layer: the handshake, and what it showed."""
