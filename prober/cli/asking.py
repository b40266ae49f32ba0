"""Asking a prober that runs, over its API."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from prober.units import host_port

DEFAULT_URL = "http://127.0.0.1:9790"
#: The headless Service of the manifests, for whoever is in a Pod beside the probers.
PEERS = "prober-peers:9790"


def http_url(text: str) -> str:
    """`text` as the URL of a prober, as argparse wants it read."""
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname:
            return text
    raise argparse.ArgumentTypeError(f"{text}: an http:// or https:// URL is wanted")


def service(text: str) -> tuple[str, int]:
    """`HOST:PORT` of a name that stands for several probers, as argparse wants it read."""
    host, _, port = text.rpartition(":")
    if not host.strip("[]") or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise argparse.ArgumentTypeError(f"{text}: write HOST:PORT, as in {PEERS}")
    return host.strip("[]"), int(port)


def addresses_of(host: str, port: int) -> list[str]:
    """A URL for each address that the name has now, in the one family that has most: a dual-stack Pod is there twice.

    OSError: it has none. UnicodeError: it cannot have any.
    """
    found: dict[int, dict[str, None]] = {}
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        found.setdefault(family, {})[f"http://{host_port(str(address[0]), port)}"] = None
    return max(map(list, found.values()), key=len)


class NoAnswer(Exception):
    """There is no prober, or it does not end what it says. The text says why, for people; `address` was asked."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"no prober answers at {address}: {why}")
        self.address, self.why = address, why


class Refused(Exception):
    """A prober answered, with this status and these words. `told` is all that it said, if it was JSON."""

    def __init__(self, status: int, says: str, told: Mapping[str, Any]) -> None:
        super().__init__(says)
        self.status, self.told = status, told


def ask(
    url: str,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    content: str = "application/json",
    timeout: float,
) -> bytes:
    """What the prober at `url` answers to `path`. `timeout` in seconds, of each step.

    NoAnswer: nobody answers there. Refused: a status other than 2xx.
    """
    address = address_of(url, path)
    headers = {"Content-Type": content} if body is not None else {}
    opener = build_opener(ProxyHandler({}))  # the environment has no say in where it goes
    try:
        request = Request(address, body, headers, method=method)  # noqa: S310 - `http_url` has looked at the scheme
        with opener.open(request, timeout=timeout) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            raise _refused(error) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise NoAnswer(address, str(getattr(error, "reason", None) or error)) from None


def address_of(url: str, path: str) -> str:
    """Of a path of the API at `url`."""
    return f"{url.rstrip('/')}{path}"


def _refused(error: HTTPError) -> Refused:
    """With the words of our API's errors, where it is one."""
    with suppress(ValueError, KeyError, TypeError, OSError, HTTPException):
        told = json.loads(error.read())
        return Refused(error.code, str(told["error"]), told)
    return Refused(error.code, f"HTTP Error {error.code}: {error.reason}", {})
