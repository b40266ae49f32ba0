"""The reproducer line: one row per kind and failing layer, and what each option adds. Tables, no I/O."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prober.export.reproduce import reproduce
from prober.model import Blame, Cell, Endpoint, Evidence, Outcome, Run, ServiceRef
from prober.options import BasicAuth, Expect, HttpOptions, SecretFile
from prober.reasons import REASONS, Family, Kind, Layer, Reason, Result
from tests.support.cells import make_cell

V4, V6 = "203.0.113.10", "2001:db8::10"
PROXY = Endpoint("http", "proxy", 3128)


def a_run(cell: Cell, failed: Layer | None = None, *, address: str | None = V4, **evidence: Evidence) -> Run:
    """A run that ended well, or failed at `failed` for that layer's first reason."""
    blame = None if failed is None else Blame(failed, REASONS[failed][0])
    outcomes = tuple(Outcome(layer, Result.OK, 0.001, None, evidence.get(layer.value, {})) for layer in cell.ladder)
    at = None if failed is Layer.DNS and cell.kind is not Kind.DNS else address
    return Run(cell, datetime.now(UTC), 0.01, outcomes, failed is None, blame, at, at and cell.endpoint.first_hop[1])


def line(kind: Kind, scheme: str, failed: Layer | None = None, *, host: str = "api.example.com", **cell: Any) -> str:
    return reproduce(a_run(make_cell(kind, scheme, host, **cell), failed))


DIG = "dig api.example.com A +search"
NC = "nc -vz -w 2 203.0.113.10 443"
OPENSSL = (
    "openssl s_client -connect 203.0.113.10:443 -servername api.example.com -verify_hostname api.example.com"
    "{} -showcerts </dev/null"
)
CURL = "curl -sv --max-time 2 --connect-to ::203.0.113.10:443 https://api.example.com/"
GRPCURL = "grpcurl -max-time 2 -authority api.example.com 203.0.113.10:443 grpc.health.v1.Health/Check"
TUNNEL = "curl -sv --max-time 2 -p --proxy http://203.0.113.10:3128"
KUBERNETES = CURL.replace(
    " https://api.example.com/",
    " --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt 'https://api.example.com/readyz?verbose'",
)
KUBERNETES_TLS = OPENSSL.format(" -CAfile /var/run/secrets/kubernetes.io/serviceaccount/ca.crt -alpn h2,http/1.1")


@pytest.mark.parametrize(
    ("kind", "scheme", "failed", "expected"),
    [
        (Kind.ICMP, "icmp", None, "ping -4 -c 1 -W 2 203.0.113.10"),
        (Kind.ICMP, "icmp", Layer.DNS, DIG),
        (Kind.ICMP, "icmp", Layer.ICMP, "ping -4 -c 1 -W 2 203.0.113.10"),
        (Kind.TCP, "https", None, NC),
        (Kind.TCP, "https", Layer.DNS, DIG),
        (Kind.TCP, "https", Layer.TCP, NC),
        (Kind.TLS, "tls", None, OPENSSL.format("")),
        (Kind.TLS, "tls", Layer.DNS, DIG),
        (Kind.TLS, "tls", Layer.TCP, NC),
        (Kind.TLS, "tls", Layer.TLS, OPENSSL.format("")),
        (Kind.HTTP, "https", None, CURL),
        (Kind.HTTP, "https", Layer.DNS, DIG),
        (Kind.HTTP, "https", Layer.TCP, NC),
        (Kind.HTTP, "https", Layer.TLS, OPENSSL.format(" -alpn h2,http/1.1")),
        (Kind.HTTP, "https", Layer.HTTP, CURL),
        (Kind.GRPC, "grpcs", None, GRPCURL),
        (Kind.GRPC, "grpcs", Layer.DNS, DIG),
        (Kind.GRPC, "grpcs", Layer.TCP, NC),
        (Kind.GRPC, "grpcs", Layer.TLS, OPENSSL.format(" -alpn h2")),
        (Kind.GRPC, "grpcs", Layer.GRPC, GRPCURL),
        (Kind.KUBERNETES, "https", None, KUBERNETES),
        (Kind.KUBERNETES, "https", Layer.DNS, DIG),
        (Kind.KUBERNETES, "https", Layer.TCP, NC),
        (Kind.KUBERNETES, "https", Layer.TLS, KUBERNETES_TLS),
        (Kind.KUBERNETES, "https", Layer.HTTP, KUBERNETES),
    ],
)  # fmt: skip
def test_each_kind_is_shown_with_the_tool_of_the_layer_that_decided(
    kind: Kind, scheme: str, failed: Layer | None, expected: str
) -> None:
    assert line(kind, scheme, failed) == expected


@pytest.mark.parametrize(
    ("kind", "scheme", "expected"),
    [
        (Kind.HTTP, "https", f"{TUNNEL} https://api.example.com/"),
        (Kind.TLS, "tls", f"{TUNNEL} telnet://api.example.com:443 </dev/null"),
        (Kind.GRPC, "grpcs", f"{TUNNEL} telnet://api.example.com:443 </dev/null"),
    ],
)  # fmt: skip
def test_a_proxy_is_shown_by_connecting_through_it(kind: Kind, scheme: str, expected: str) -> None:
    assert line(kind, scheme, Layer.PROXY, proxy=PROXY) == expected


def test_behind_a_proxy_every_tool_goes_through_it() -> None:
    connect = ("10.0.0.9", 8443)
    assert line(Kind.HTTP, "https", proxy=PROXY, connect=connect) == (
        "curl -sv --max-time 2 -p --proxy http://203.0.113.10:3128 --connect-to ::10.0.0.9:8443 https://api.example.com/"
    )
    shown = line(Kind.TLS, "tls", Layer.TLS, proxy=PROXY)
    assert "-connect api.example.com:443 -proxy 203.0.113.10:3128 " in shown
    grpc = line(Kind.GRPC, "grpcs", proxy=PROXY)
    assert grpc.startswith("https_proxy=http://203.0.113.10:3128 grpcurl ")
    assert " api.example.com:443 " in grpc
    assert line(Kind.HTTP, "https", Layer.DNS, proxy=PROXY) == "dig proxy A +search"


def test_credentials_of_a_proxy_stay_out_of_sight() -> None:
    file = SecretFile(file=Path("/run/proxy pw"))
    proxy = Endpoint("http", "proxy", 3128, basic=BasicAuth(username="me", password=file))
    assert line(Kind.HTTP, "https", proxy=proxy).startswith(f"""{TUNNEL} --proxy-user "me:$(cat '/run/proxy pw')" """)
    assert " -proxy_user me -proxy_pass 'file:/run/proxy pw' " in line(Kind.TLS, "tls", Layer.TLS, proxy=proxy)
    grpc = line(Kind.GRPC, "grpcs", proxy=proxy)
    assert grpc.startswith("""https_proxy="http://me:$(cat '/run/proxy pw')@203.0.113.10:3128" grpcurl """)
    literal = Endpoint("http", "proxy", 3128, basic=BasicAuth(username="me", password="hunter2"))
    assert "-proxy_pass 'pass:***' " in line(Kind.TLS, "tls", Layer.TLS, proxy=literal)


def test_dig_asks_the_server_that_the_run_has_asked() -> None:
    run = a_run(make_cell(Kind.TCP, "tcp", "web.app", 80), Layer.DNS, dns={"server": "[2001:db8::53]:1053"})
    assert reproduce(run) == "dig @2001:db8::53 -p 1053 web.app A +search"


def test_a_service_without_endpoints_is_shown_with_its_slices() -> None:
    cell = make_cell(Kind.TCP, "tcp", "", 8080, service=ServiceRef("app", "web-api", 8080))
    expected = "kubectl -n app get endpointslices -l kubernetes.io/service-name=web-api -o wide"
    assert reproduce(a_run(cell, Layer.DNS, address=None)) == expected


@pytest.mark.parametrize(
    ("kind", "scheme", "failed", "words"),
    [
        (Kind.HTTP, "https", None, "--connect-to '::[2001:db8::10]:443'"),
        (Kind.TLS, "tls", None, "-connect '[2001:db8::10]:443'"),
        (Kind.GRPC, "grpcs", None, "'[2001:db8::10]:443' grpc.health"),
        (Kind.TCP, "https", None, "nc -vz -w 2 2001:db8::10 443"),
        (Kind.ICMP, "icmp", None, "ping -6 -c 1 -W 2 2001:db8::10"),
        (Kind.HTTP, "https", Layer.DNS, "dig api.example.com AAAA"),
    ],
)
def test_ipv6_addresses_are_written_as_each_tool_wants_them(
    kind: Kind, scheme: str, failed: Layer | None, words: str
) -> None:
    cell = make_cell(kind, scheme, "api.example.com", family=Family.IPV6)
    assert words in reproduce(a_run(cell, failed, address=V6))


@pytest.mark.parametrize(
    ("scheme", "host", "options", "words"),
    [
        ("http", V4, {}, "curl -sv --max-time 2 http://203.0.113.10/"),
        ("http", V6, {}, "--connect-to ::203.0.113.10:80 -g 'http://[2001:db8::10]/'"),
        ("http", "web", {"http": {"version": "2"}}, "--http2-prior-knowledge"),
        ("https", "web", {"http": {"version": "2"}}, "--http2 "),
        ("https", "web", {"http": {"version": "1.1"}}, "--http1.1"),
        ("https", "web", {"http": {"method": "HEAD"}}, " -I "),
        ("https", "web", {"http": {"method": "DELETE"}}, " -X DELETE "),
        ("http", "web", {"http": {"method": "POST", "body": "it's"}}, """-H Content-Type: --data-binary 'it'"'"'s'"""),
        ("http", "web", {"http": {"method": "PUT", "body": "x"}}, "-X PUT -H Content-Type: --data-binary x"),
        ("http", "web", {"http": {"body": "x", "headers": {"Content-Type": "a"}}}, "-X GET --data-binary x -H 'Conte"),
        ("https", "web", {"tls": {"ca_file": "/ca s.pem"}}, "--cacert '/ca s.pem'"),
        ("https", "web", {"tls": {"certificate_file": "/c.pem", "key_file": "/k.pem"}}, "--cert /c.pem --key /k.pem"),
        ("https", "web", {"tls": {"verify": False}}, " -k "),
        ("https", "web", {"tls": {"min_version": "1.3"}}, "--tlsv1.3"),
        ("https", "web", {"tls": {"max_version": "1.2"}}, "--tls-max 1.2"),
        ("https", "web", {"tls": {"server_name": "sni"}}, "-H 'Host: web' https://sni/"),
        ("http", "web", {"http": {"method": "POST", "body": {"file": "/b y"}}}, "--data-binary '@/b y' http"),
        ("https", "web", {"http": {"follow": 3}}, "--connect-to web:443:203.0.113.10:443 -L --max-redirs 3 https://web/"),
        ("http", V6, {"http": {"follow": 3}}, "--connect-to '[2001:db8::10]:80:203.0.113.10:80' -L --max-redirs 3 "),
        ("https", "web", {"http": {"websocket": {"subprotocol": "chat"}}}, "-H 'Sec-WebSocket-Protocol: chat' https://web/"),
        ("https", "web", {"http": {"websocket": {}}}, "--http1.1 "),
        ("https", "web", {"http": {"headers": {"Host": "other"}}}, "-H 'Host: other' https://web/"),
    ],
)  # fmt: skip
def test_what_an_option_adds_to_curl(scheme: str, host: str, options: dict[str, Any], words: str) -> None:
    assert words in line(Kind.HTTP, scheme, host=host, options=options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls": {"ca_file": "/ca.pem"}}, "-CAfile /ca.pem"),
        ({"tls": {"server_name": "sni"}}, "-servername sni -verify_hostname sni"),
        ({"tls": {"server_name": "192.0.2.1"}}, "-noservername -verify_ip 192.0.2.1"),
        ({"tls": {"certificate_file": "/c.pem", "key_file": "/k.pem"}}, "-cert /c.pem -key /k.pem"),
        ({"tls": {"alpn": ["h2"]}}, "-alpn h2"),
        ({"tls": {"min_version": "1.0", "max_version": "1.2"}}, "-min_protocol TLSv1 -max_protocol TLSv1.2"),
        ({"tls": {"sni": False}}, "-noservername -verify_hostname api.example.com"),
        ({"tls": {"staple": "required"}}, "-status -showcerts"),
        ({"tls": {"starttls": "smtp"}}, "-connect 203.0.113.10:443 -starttls smtp -servername"),
        ({"tls": {"starttls": "xmpp"}}, "-starttls xmpp -name api.example.com"),
        ({"tls": {"ciphers": ["AES128-SHA", "AES256-SHA"]}}, "-cipher AES128-SHA:AES256-SHA"),
        (
            {"tls": {"ciphersuites": ["TLS_AES_128_GCM_SHA256"], "groups": ["X25519", "P-256"]}},
            "-ciphersuites TLS_AES_128_GCM_SHA256 -groups X25519:P-256",
        ),
    ],
)
def test_what_an_option_adds_to_openssl(options: dict[str, Any], words: str) -> None:
    assert words in line(Kind.TLS, "tls", options=options)


@pytest.mark.parametrize(
    ("scheme", "options", "words"),
    [
        ("grpc", {}, "grpcurl -max-time 2 -plaintext -authority api.example.com 203.0.113.10:80 "),
        ("grpcs", {"grpc": {"service": "pay.V1"}}, """-d '{"service": "pay.V1"}'"""),
        ("grpc", {"grpc": {"watch": "1s"}}, "-d '{}' 203.0.113.10:80 grpc.health.v1.Health/Watch"),
        ("grpc", {"grpc": {"call": "pay.V1/Get"}}, " 203.0.113.10:80 pay.V1/Get"),
        ("grpc", {"grpc": {"call": "pay.V1/Get", "request": {"id": "a b"}}}, """-d '{"id": "a b"}' 203"""),
        ("grpcs", {"grpc": {"authority": "other"}}, "-authority other"),
        ("grpcs", {"tls": {"verify": False}}, "-insecure"),
        ("grpcs", {"tls": {"ca_file": "/ca.pem", "key_file": "/k"}}, "-cacert /ca.pem -key /k"),
        ("grpcs", {"grpc": {"metadata": {"x-token": "abc", "x-a": "b"}}}, "-H 'x-token: ***' -H 'x-a: b'"),
    ],
)  # fmt: skip
def test_what_an_option_adds_to_grpcurl(scheme: str, options: dict[str, Any], words: str) -> None:
    assert words in line(Kind.GRPC, scheme, options=options)


def test_an_expected_failure_is_shown_with_the_tool_of_its_layer() -> None:
    assert line(Kind.HTTP, "https", expect=Expect(failed=Layer.TCP)) == NC


def test_a_fault_of_our_own_is_shown_with_the_tool_of_the_kind() -> None:
    run = a_run(make_cell(Kind.HTTP, "https", "api.example.com"), Layer.TLS)
    assert reproduce(replace(run, blame=Blame(Layer.TLS, Reason.INTERNAL))) == CURL


def secretive(hidden: dict[str, str] | None = None, *, resource: str = "/", **http: Any) -> str:
    cell = make_cell(Kind.HTTP, "https", "api.example.com", resource=resource)
    options = cell.options.model_copy(update={"http": HttpOptions(**http)})
    return reproduce(a_run(replace(cell, options=options, hidden=hidden or {})))


FILE = SecretFile(file=Path("/run/my token"))


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"bearer": FILE}, """-H "Authorization: Bearer $(cat '/run/my token')" """),
        ({"bearer": "hunter2-hunter2"}, "-H 'Authorization: Bearer ***'"),
        ({"headers": {"Authorization": "Basic aHVudGVyMg=="}}, "-H 'Authorization: Basic ***'"),
        ({"headers": {"X-Api-Key": "hunter2-hunter2"}}, "-H 'X-Api-Key: ***'"),
        ({"headers": {"Cookie": "sid=hunter2-hunter2"}}, "-H 'Cookie: ***'"),
        ({"headers": {"X-Anything": FILE}}, """-H "X-Anything: $(cat '/run/my token')" """),
        ({"basic": {"username": "me", "password": "hunter2-hunter2"}}, "-u 'me:***'"),
        ({"basic": {"username": "me", "password": FILE}}, """-u "me:$(cat '/run/my token')" """),
    ],
)
def test_secrets_are_left_to_the_shell_or_masked(http: dict[str, Any], words: str) -> None:
    shown = secretive(**http) + " "
    assert words in shown
    assert "hunter2" not in shown
    assert "aHVudGVyMg" not in shown


def test_values_that_came_through_variables_are_shown_as_those_variables() -> None:
    hidden = {"s3cr3t-value": "${API_KEY}", "s3cr3t": "${SHORT}"}
    shown = secretive(hidden, resource="/?k=s3cr3t-value&x=$HOME`id`!", headers={"X-K": 'a"s3cr3t"'})
    assert shown.endswith(
        r"""-H "X-K: a\"${SHORT}\"" "https://api.example.com/?k=${API_KEY}&x=\$HOME\`id\`"'!'"" """.strip()
    )
    assert "s3cr3t" not in shown


def test_a_mounted_token_is_read_by_the_shell_only_where_the_run_has_sent_one() -> None:
    cell = make_cell(Kind.KUBERNETES, "https", "kubernetes.default.svc")
    token = '-H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)"'
    assert token in reproduce(a_run(cell, http={"token": True}))
    assert "Authorization" not in reproduce(a_run(cell, http={"token": False}))


def test_what_a_url_holds_cannot_leave_its_word() -> None:
    nasty = "/a b'; rm -rf / #$(id)`id`"
    assert shlex.split(secretive(resource=nasty))[-1] == f"https://api.example.com{nasty}"
