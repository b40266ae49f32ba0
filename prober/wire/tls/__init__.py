"""TLS on an open stream: handshakes, certificates, staples, and the words before them."""
