"""The grpc layer: health, watched or asked, and calls."""
