"""Climbing cells on schedule: climb (one run), scheduler, board, and the service that composes them."""
