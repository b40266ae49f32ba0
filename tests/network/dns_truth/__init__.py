"""The DNS truth: what a C library really sends and returns, by packet capture, beside what the machine does."""
