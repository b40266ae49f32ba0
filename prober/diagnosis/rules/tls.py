"""Rules for proxy and tls. Pure data."""

from __future__ import annotations

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason

_KEY = "the server answers and owns the key of the certificate that it sent"
_SPEAKS_TLS = "there is a TLS server behind {where}"


def _fallback_certificate(facts: Facts) -> bool:
    shown = (facts["subject"] + facts["names"]).lower()
    return "fake certificate" in shown or "traefik default" in shown or "ingress.local" in shown


def _with_credentials(facts: Facts) -> bool:
    return bool(facts.evidence.get("credentials"))


def _leaf_is_valid(facts: Facts) -> bool:
    days = facts.evidence.get("days_left")
    return isinstance(days, float | int) and days > 0


def _after_starttls(facts: Facts) -> bool:
    return facts.cell.options.tls.starttls is not None


def _is_api(facts: Facts) -> bool:
    return facts.api_server


PROXY = (
    Row(
        Layer.PROXY, Reason.PROXY_REFUSED, Code.PROXY_REFUSES,
        "The proxy at {where} does not let us through to {goal}: it answered {status}.",
        "The proxy's allow list: destination, port (many allow CONNECT to 443 only) and this Pod's source address. "
        "Its access log has the rule.",
        "the proxy is up and reads requests",
    ),
    Row(
        Layer.PROXY, Reason.PROXY_AUTH, Code.PROXY_WANTS_CREDENTIALS,
        "The proxy at {where} does not take our credentials for {goal}: 407.",
        "The username and password under proxy.basic: expired, rotated, or of another proxy? The Proxy-Authenticate "
        "header in the evidence names the schemes that it takes; Basic is the one we speak.",
        "the proxy is up and reads requests", _with_credentials,
    ),
    Row(
        Layer.PROXY, Reason.PROXY_AUTH, Code.PROXY_WANTS_CREDENTIALS,
        "The proxy at {where} wants credentials before it connects to {goal}: 407.",
        "Does the proxy know this Pod's source address, or does it ask everyone to log in? The Proxy-Authenticate "
        "header in the evidence names the scheme; proxy.basic gives it a username and password.",
        "the proxy is up and reads requests",
    ),
    Row(
        Layer.PROXY, Reason.PROXY_FAILED, Code.PROXY_CANNOT_REACH,
        "The proxy at {where} did not get us to {goal}: it answered {status}{detail}.",
        "Connect from the proxy's own host: does it resolve the name, and does its egress reach that port? Its error "
        "log says which of the two. A direct path beside the proxied one tells whether the target is up at all.",
        "the proxy is up and reads requests",
    ),
    Row(
        Layer.PROXY, Reason.TIMEOUT, Code.PROXY_SILENT,
        "The proxy at {where} took the connection and then said nothing about {goal} for {took}.",
        "Most likely the proxy itself waits for {goal}: a dropped SYN on its side lasts longer than our timeout. "
        "Connect from the proxy's host; else the proxy is overloaded, or what listens there is no HTTP proxy.",
    ),
    Row(
        Layer.PROXY, Reason.CLOSED, Code.PROXY_CLOSED,
        "The proxy at {where} hung up instead of answering CONNECT {goal}.",
        "Is it an HTTP proxy at all (not SOCKS, not TLS on that port)? Some close without a word on sources that they "
        "do not allow; others crash: its log at this moment.",
    ),
)  # fmt: skip

TLS = (
    Row(
        Layer.TLS, Reason.EXPIRED, Code.CERTIFICATE_EXPIRED,
        "The certificate of {tls_name} is still valid, but the chain that its server sends holds one that has expired: "
        "{expired_link}.",
        "Have the server send the intermediates that its authority signs with today (leaf and intermediates in "
        "tls.crt, in this order). Browsers find another way up and hide the fault; many programs do not.",
        _KEY, _leaf_is_valid,
    ),
    Row(
        Layer.TLS, Reason.EXPIRED, Code.CERTIFICATE_EXPIRED,
        "The certificate chain of {tls_name} has expired: {subject} was valid until {not_after}, {ago}.",
        "kubectl get certificate,certificaterequest (cert-manager): was it renewed, and has the server loaded the new "
        "Secret? A subPath mount never updates. If the leaf is still valid, an intermediate has expired; and check "
        "this node's clock.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.EXPIRES_SOON, Code.CERTIFICATE_EXPIRES_SOON,
        "The certificate chain of {tls_name} ends too soon{detail}.",
        "kubectl get certificate,certificaterequest (cert-manager): renewal is due at two thirds of the lifetime, so "
        "what failed there? The certificate of the evidence's chain that ends first may be an intermediate.",
        "the certificate is valid today",
    ),
    Row(
        Layer.TLS, Reason.NOT_YET_VALID, Code.CERTIFICATE_NOT_YET_VALID,
        "The certificate of {tls_name} is not valid before {not_before}.",
        "Compare clocks: this node's (chronyc tracking) and that of whoever signed it. A certificate made moments ago "
        "on a machine that runs ahead does this.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.NAME_MISMATCH, Code.CERTIFICATE_NAME_MISMATCH,
        "The ingress shows its fallback certificate ({subject}) instead of one for {tls_name}.",
        "It has no certificate for this host: Ingress spec.tls hosts and secretName, whether that Secret exists in "
        "the Ingress' namespace, and the controller's log, which names what it rejects.",
        _KEY, _fallback_certificate,
    ),
    Row(
        Layer.TLS, Reason.NAME_MISMATCH, Code.CERTIFICATE_NAME_MISMATCH,
        "The certificate is for {names}, not for {tls_name}.",
        "Did we reach the right server (DNS, `connect`, another tenant's address)? Does SNI get through the load "
        "balancer? A wildcard covers one label only, and a common name alone does not count.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.UNKNOWN_AUTHORITY, Code.CERTIFICATE_UNTRUSTED,
        "The API server's certificate was signed by {issuer}, which the CA file in use does not trust.",
        "Is the ServiceAccount's ca.crt mounted and current (a rotated cluster CA reaches running Pods with the "
        "projected volume only)? Else something that inspects TLS stands between.",
        _KEY, _is_api,
    ),
    Row(
        Layer.TLS, Reason.UNKNOWN_AUTHORITY, Code.CERTIFICATE_UNTRUSTED,
        "The certificate of {tls_name} was signed by {issuer}, whom nobody here trusts.",
        "A private CA: name its bundle with tls.ca_file. If this host should have a public certificate, look for a "
        "proxy that inspects TLS: it signs with its own authority.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.SELF_SIGNED, Code.CERTIFICATE_SELF_SIGNED,
        "The certificate of {tls_name} is signed by itself ({subject}).",
        "Often the default certificate of a front end that has none for this name, or one made at start by the "
        "server: is the Secret with the real one mounted? If it is meant, give it as tls.ca_file.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.INCOMPLETE_CHAIN, Code.CERTIFICATE_CHAIN_INCOMPLETE,
        "The server of {tls_name} does not send the intermediate certificate of {issuer}.",
        "Put leaf and intermediates into tls.crt, in this order. Browsers fetch the missing one and hide the fault; "
        "curl, Go and Java do not.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.WRONG_PURPOSE, Code.CERTIFICATE_WRONG_PURPOSE,
        "The certificate of {tls_name} may not be used by a server: its extended key usage says otherwise.",
        "A client certificate was mounted where the server's belongs, or the issuer's profile lacks `server auth` "
        "(cert-manager: spec.usages).",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.REVOKED, Code.CERTIFICATE_REVOKED,
        "The certificate of {tls_name} was revoked by {issuer}{revoked}: so says the OCSP response that its own server "
        "staples.",
        "Replace it now: clients that check will refuse it. Find out who revoked it and why; a leaked key means new "
        "keys, not only a new certificate.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.NO_STAPLE, Code.STAPLE_MISSING,
        "The server of {tls_name} staples no OCSP response that says its certificate is good{staple}.",
        "nginx: ssl_stapling on, and a resolver; Apache: SSLUseStapling. Can the server reach its authority's OCSP "
        "responder, and does that still exist (several authorities have ended OCSP)? Some servers staple only from "
        "the second connection on.",
        _KEY,
    ),
    Row(
        Layer.TLS, Reason.PROTOCOL_VERSION, Code.TLS_VERSION_MISMATCH,
        "{tls_name} and this probe have no TLS version in common{alert}.",
        "An old server speaks 1.0 or 1.1 only (the probe starts at 1.2 unless tls.min_version says less), or a strict "
        "one wants 1.3 while tls.max_version holds us back.",
        _SPEAKS_TLS,
    ),
    Row(
        Layer.TLS, Reason.NO_ALPN, Code.ALPN_MISMATCH,
        "{tls_name} does not agree on the protocol that this probe asked for: it chose {alpn}.",
        "HTTP/2 or gRPC is switched off at whoever ends TLS here: load balancer listener, ingress (nginx: http2 on), "
        "or the application's own TLS settings. gRPC cannot work without h2.",
        _SPEAKS_TLS,
    ),
    Row(
        Layer.TLS, Reason.UNRECOGNIZED_NAME, Code.SNI_UNKNOWN,
        "The server does not know the name {tls_name}: it refused the SNI.",
        "No route or certificate for this host at the front end (Gateway listener hostname, Ingress host, passthrough "
        "rule), or the address belongs to another front end: compare `connect` and DNS.",
        _SPEAKS_TLS,
    ),
    Row(
        Layer.TLS, Reason.CLIENT_CERTIFICATE, Code.CLIENT_CERTIFICATE_WANTED,
        "{tls_name} wants a client certificate, or another one than ours{alert}.",
        "mTLS: give tls.certificate_file and key_file from the CA that the server trusts. In a mesh, strict mTLS "
        "turns away Pods outside it: PeerAuthentication, or a sidecar for this prober.",
        _SPEAKS_TLS,
    ),
    Row(
        Layer.TLS, Reason.HANDSHAKE, Code.TLS_HANDSHAKE_FAILED,
        "The TLS handshake with {tls_name} failed{alert}{detail}.",
        "Most often no cipher suite, group or signature algorithm in common (a server that takes post-quantum groups "
        "alone wants tls.groups). Run the line below and read the alert; then the server's log, which names what it "
        "missed.",
        _SPEAKS_TLS,
    ),
    Row(
        Layer.TLS, Reason.NOT_TLS, Code.STARTTLS_REFUSED,
        "The server at {where} does not begin TLS in the words of {starttls}{detail}.",
        "Is TLS configured there at all (a certificate that failed to load switches STARTTLS off), and is this the "
        "protocol of that port? A middlebox may have taken STARTTLS out: ask from beside the server.",
        "a process answers at {where}", _after_starttls,
    ),
    Row(
        Layer.TLS, Reason.NOT_TLS, Code.NOT_TLS,
        "What answers at {where} does not speak TLS.",
        "Plain HTTP on this port (try http://), or a server that wants STARTTLS (tls.starttls) or the PROXY protocol "
        "first. For a Service: does its targetPort lead to the plain port?",
        "a process answers at {where}",
    ),
    Row(
        Layer.TLS, Reason.RESET, Code.TLS_RESET,
        "The connection was reset during the TLS handshake with {tls_name}.",
        "A front end without a route for this SNI (Envoy resets where nginx and HAProxy send an alert), a load "
        "balancer whose backend is gone, a process that crashes, or a middlebox that resets on this name: try another "
        "SNI against the same address.",
    ),
    Row(
        Layer.TLS, Reason.CLOSED, Code.TLS_CLOSED,
        "The server closed the connection during the TLS handshake with {tls_name}, without an alert.",
        "A TCP load balancer with no healthy backend does this, so does a server that expects the PROXY protocol or "
        "has no certificate yet. Probe the backend directly.",
    ),
    Row(
        Layer.TLS, Reason.TIMEOUT, Code.TLS_SILENT,
        "TCP to {where} opens, but the TLS handshake gets no answer for {took}.",
        "A process that accepts and hangs (deadlock, no CPU), a front end that waits for a dead backend, or large "
        "packets lost on the way: the certificate is the first full-size segment, so compare path MTU, and try a "
        "small answer over plain TCP.",
    ),
)  # fmt: skip
