"""HTTP requests on behalf of a test that is in another namespace. Run as a program in a Pod (`python -m`).

A line `METHOD URL` on stdin; for each a line of JSON with status and body on stdout. Status 0: nobody answered.
"""

from __future__ import annotations

import http.client
import json
import sys
from urllib.parse import urlsplit

_PATIENCE = 20.0


def ask(method: str, url: str) -> tuple[int, str]:
    """Status and body of one exchange on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(ask(*line.split())), flush=True)
