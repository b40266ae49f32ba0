"""The icmp layer: trains of echo requests."""
