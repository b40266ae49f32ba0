"""The ASGI app: metrics, health, the JSON API and a plain page over what the service knows."""
