"""Faults that are the servers' own: TLS, HTTP/2, gRPC, DNS, API server."""

from __future__ import annotations

from tests.network.lab.faults import applications, control, tls

FAULTS = (*tls.FAULTS, *applications.FAULTS, *control.FAULTS)
