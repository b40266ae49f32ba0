"""openssl s_client: the line that proves a handshake by hand. Pure."""

from __future__ import annotations

from pathlib import Path

from prober.addresses import is_literal
from prober.export.shell import quote, secret_parts
from prober.export.tools.line import Line
from prober.options import SecretFile, TlsOptions
from prober.reasons import Kind, Reason
from prober.units import host_port


def openssl(line: Line) -> list[str]:
    """A handshake with the same name, trust, ALPN and versions; shows the chain as sent."""
    options = line.options.tls
    name = (options.server_name or line.endpoint.host).rstrip(".")
    command = ["openssl", "s_client", *line.words("-connect", host_port(*line.goal))]
    if line.proxied:
        command += line.words("-proxy", host_port(*line.hop)) + _proxy_user(line)
    if options.starttls is not None:
        command += ["-starttls", options.starttls]
        if options.starttls.startswith("xmpp"):
            command += line.words("-name", name)
    if is_literal(name):
        command += ["-noservername", *line.words("-verify_ip", name)]
    else:
        command += line.words("-servername", name) if options.sni else ["-noservername"]
        command += line.words("-verify_hostname", name)
    for flag, value in (("-CAfile", ca_file(line)), ("-cert", options.certificate_file), ("-key", options.key_file)):
        if value is not None:
            command += line.words(flag, str(value))
    if alpn := line.cell.alpn:
        command += line.words("-alpn", ",".join(alpn))
    command += [*_openssl_versions(options), *_openssl_lists(options)]
    if options.staple == "required" or line.reason is Reason.REVOKED:
        command.append("-status")
    return [*command, "-showcerts", "</dev/null"]


def _proxy_user(line: Line) -> list[str]:
    """Credentials for the proxy, the password in the forms of openssl-passphrase-options(1)."""
    basic = line.endpoint.proxy.basic if line.endpoint.proxy is not None else None
    if basic is None:
        return []
    if isinstance(basic.password, SecretFile):
        password = line.word(f"file:{basic.password.file}")
    else:
        password = quote(["pass:", *secret_parts(basic.password, line.cell.hidden)])
    return ["-proxy_user", line.word(basic.username), "-proxy_pass", password]


def _openssl_versions(options: TlsOptions) -> list[str]:
    low = ["-min_protocol", _tls_version(options.min_version)] if options.min_version != "1.2" else []
    return low + (["-max_protocol", _tls_version(options.max_version)] if options.max_version != "1.3" else [])


def _openssl_lists(options: TlsOptions) -> list[str]:
    lists = (("-cipher", options.ciphers), ("-ciphersuites", options.ciphersuites), ("-groups", options.groups))
    return [word for flag, names in lists if names for word in (flag, ":".join(names))]


def _tls_version(version: str) -> str:
    return "TLSv1" if version == "1.0" else f"TLSv{version}"


def ca_file(line: Line) -> Path | None:
    """The bundle to trust; None leaves it to the system's."""
    if line.options.tls.ca_file is not None:
        return line.options.tls.ca_file
    return line.options.kubernetes.ca_file if line.cell.kind is Kind.KUBERNETES else None
