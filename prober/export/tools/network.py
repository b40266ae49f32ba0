"""dig, kubectl, ping and nc: the lines that prove dns, icmp and tcp by hand. Pure."""

from __future__ import annotations

from prober.export.shell import Live, parts_of, quote, secret_parts
from prober.export.tools.line import Line
from prober.model import ServiceRef
from prober.options import Hex, Said, SecretFile
from prober.reasons import Family, Kind, Layer
from prober.units import host_port

#: Seconds between two echoes that every ping(8) lets everybody ask for.
PING_GAP = 0.2
_OCTAL = {code: f"\\0{code:03o}" for code in (*range(32), 127)} | {10: "\\n", 13: "\\r", 9: "\\t"}


_USUAL_PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}


def dig(line: Line) -> list[str]:
    """The query of a dns probe, or the one that found the address; EndpointSlices where those give the addresses."""
    if line.endpoint.service is not None:
        return _kubectl(line, line.endpoint.service)
    if line.cell.kind is Kind.DNS:
        return _dig_question(line)
    resolver = line.options.resolver
    name = line.endpoint.first_hop[0]
    command = ["dig", *_dig_server(line, resolver.servers[0] if resolver.servers else "")]
    command += [line.word(name), "AAAA" if line.cell.family is Family.IPV6 else "A"]
    if resolver.transport == "tcp":
        command.append("+tcp")
    return command + _dig_search(line, name, walk=True)


def _dig_question(line: Line) -> list[str]:
    """The query of a dns probe, whose family is that of the packets to the server."""
    options, server = line.options.dns, line.endpoint.host
    walk = options.search if options.search is not None else not server
    where = host_port(server, line.endpoint.port) if server else ""
    command = ["dig", "-6" if line.cell.family is Family.IPV6 else "-4", *_dig_server(line, where)]
    how = _dig_transport(line)
    if not options.recursion_desired:
        how.append("+norecurse")
    if options.edns_size is not None:
        how.append(f"+bufsize={options.edns_size}")
    how += [word for word, asked in (("+nsid", options.nsid), ("+dnssec", options.dnssec)) if asked]
    how += _dig_search(line, line.endpoint.resource, walk=walk)
    for kind in options.type.split("+"):  # of a pair dig asks one after the other
        command += [line.word(line.endpoint.resource), kind, *how]
    return command


def _dig_transport(line: Line) -> list[str]:
    """`+tcp`, or `+tls` and `+https` with what they trust and the name that they want to see (dig 9.18)."""
    options, tls = line.options.dns, line.options.tls
    if options.transport in ("udp", "tcp"):
        return ["+tcp"] if options.transport == "tcp" else []
    words = ["+tls"]
    if options.transport == "https":
        words = [line.word(f"+https{'-get' if options.method == 'GET' else ''}={options.path}")]
    if tls.verify:
        words.append("+tls-ca" if tls.ca_file is None else line.word(f"+tls-ca={tls.ca_file}"))
    if tls.server_name is not None:
        words.append(line.word(f"+tls-hostname={tls.server_name}"))
    return words


def _dig_server(line: Line, configured: str) -> list[str]:
    """`@server [-p port]`: the server that was asked, else the one configured, else none (the Pod's own)."""
    lookup = line.run.outcome(Layer.DNS)
    asked = lookup.evidence.get("server") if lookup is not None else None
    if not asked and not configured:
        return []
    host, port = _split(str(asked or configured))
    usual = _USUAL_PORTS[line.options.dns.transport] if line.cell.kind is Kind.DNS else 53
    return [line.word(f"@{host}"), *([] if port == usual else ["-p", str(port)])]


def _split(server: str) -> tuple[str, int]:
    """Host and port of `address`, `address:port` or `[v6]:port`."""
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        return host, int(port.removeprefix(":") or 53)
    if server.count(":") == 1:
        host, _, port = server.partition(":")
        return host, int(port)
    return server, 53


def _dig_search(line: Line, name: str, *, walk: bool) -> list[str]:
    """dig takes a name as it stands unless told to walk the search list; `+domain` gives it a list of one."""
    resolver = line.options.resolver
    if not walk or name.endswith(".") or resolver.search == ():
        return []
    ndots = [] if resolver.ndots is None else [f"+ndots={resolver.ndots}"]
    return ["+search" if resolver.search is None else f"+domain={resolver.search[0]}", *ndots]


def _kubectl(line: Line, service: ServiceRef) -> list[str]:
    """The slices that a path of Pods takes its addresses from."""
    label = line.word(f"kubernetes.io/service-name={service.name}")
    return ["kubectl", "-n", line.word(service.namespace), "get", "endpointslices", "-l", label, "-o", "wide"]


def ping(line: Line) -> list[str]:
    """Echo requests of the probe's number and size, marked like them."""
    options, address = line.options.icmp, line.hop[0]
    family = "-6" if line.cell.family is Family.IPV6 else "-4"
    command = ["ping", family, "-c", str(options.count)]
    command += ["-s", str(options.size)] if options.size != 56 else []
    command += ["-i", f"{max(options.gap, PING_GAP):g}"] if options.count > 1 and options.gap < 1 else []
    command += ["-M", "do"] if options.dont_fragment else []
    command += ["-t", str(options.ttl)] if options.ttl is not None else []
    command += ["-Q", str(options.dscp << 2)] if options.dscp else []
    return [*command, "-W", line.seconds(), line.word(address)]


def nc(line: Line) -> list[str]:
    """One TCP connect, nothing sent; or all that the dialogue sends, at once. `-T` is OpenBSD's."""
    host, port = line.hop
    options = line.options.tcp
    how = line.words("-s", source) if (source := options.source_for(line.cell.family)) else []
    how += ["-T", hex(options.dscp << 2)] if options.dscp else []
    where = [*how, "-w", line.seconds(), *line.family(host), line.word(host), str(port)]
    said = [step.send for step in options.steps if step.send is not None]
    if said:
        return ["printf", "%b", quote([part for each in said for part in _printed(line, each)]), "|", "nc", *where]
    return ["nc", *where, "</dev/null"] if options.steps else ["nc", "-vz", *where]


def _printed(line: Line, said: Said) -> list[str]:
    """What printf(1) makes `said` of with %b: control characters in octal, secrets left to the shell."""
    if isinstance(said, Hex):
        return ["".join(f"\\0{byte:03o}" for byte in bytes.fromhex(said.hex))]
    if isinstance(said, SecretFile):
        return secret_parts(said, line.cell.hidden)
    parts = parts_of(said, line.cell.hidden)
    return [part if isinstance(part, Live) else part.replace("\\", "\\\\").translate(_OCTAL) for part in parts]
