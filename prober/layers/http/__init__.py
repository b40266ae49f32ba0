"""The http layer: the request, its answer, and what that is worth."""
