"""The cluster this runs in: the vantage from the Downward API, EndpointSlices, the API server's client."""
