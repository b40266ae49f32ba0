"""From one combination of a probe to its squares: endpoint, labels, families; what can't be combined is reported."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prober.addresses import literal_family, parse_server
from prober.config.address import Question, parse_question
from prober.config.axes import Axes, Chosen
from prober.config.errors import Loc
from prober.config.kinds import BARE, PRESET, PRESET_PATHS, refuse_scheme
from prober.config.nodes import Document
from prober.config.parts import Source, Square, Target
from prober.config.schema import Defaults, ProbeEntry
from prober.config.settings import Settings
from prober.config.targets import bare
from prober.config.words import suggest
from prober.model import DEFAULT_PORTS, Endpoint, climbs
from prober.options import KindOptions, Profile
from prober.reasons import Family, Kind
from prober.redact import redact_text
from prober.units import host_port

#: Name and certificate name of the API server inside every cluster.
API_SERVER = "kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class Job:
    """One combination of one probe, and all that is needed to read it."""

    document: Document
    entry: ProbeEntry
    defaults: Defaults
    loc: Loc
    axes: Axes
    chosen: Chosen
    settings: Settings

    @property
    def family(self) -> Family:
        """The family of the combination."""
        return Family(str(self.chosen.values["family"]))

    def get(self, key: str) -> str | None:
        """The combination's value for an axis, if it has one."""
        value = self.chosen.values.get(key)
        return None if value is None else str(value)

    def report(self, message: str, *keys: str) -> None:
        """A problem at the place of the combination's value for the first of `keys` that stands in the file."""
        places = [self.axes.where(key, self.chosen.values.get(key)) for key in keys]
        self.document.report(next((place for place in places if place != self.axes.loc), self.axes.loc), message)

    def square(
        self, target: str, path: str, endpoint: Endpoint, source: Source = "vantage",
        options: KindOptions | None = None, *, to_api_server: bool = False,
    ) -> Square:  # fmt: skip
        """A square with the settings of this combination."""
        settings = self.settings
        layers = climbs(self.entry.kind, endpoint)
        return Square(target, path, self.family, endpoint, self.chosen.demand, source, settings.interval,
                      settings.timeout, options or settings.options, settings.expect, settings.budget_for(layers),
                      settings.quantile_budget_for(layers), to_api_server)  # fmt: skip


def of_target(job: Job, target: Target) -> Square | None:
    """The square of one path of `target`."""
    path = str(job.get("path"))
    if path not in target.paths:
        hint = suggest(path, target.paths) or f": exclude {{target: {target.name}, path: {path}}}"
        job.report(f'the target "{target.name}" has no path "{path}"{hint}', "path", "target")
        return None
    kind, way = job.entry.kind, target.paths[path]
    endpoint = bare(BARE[kind], way.endpoint) if way.url is None and kind in BARE else way.endpoint
    name = f'the path "{path}" of "{target.name}"'
    try:
        refuse_scheme(kind, endpoint)
    except ValueError as error:
        job.report(f"{name}: {error}", "path", "target")
        return None
    if kind is Kind.DNS:
        label = "" if path == "default" else path
        return _query(job, name, target.name, label, endpoint, way.narrowed, parse_question(way.url or ""))
    if not _reaches(job, name, None if way.own is None else (way.own,), way.narrowed):
        return None
    if kind is Kind.KUBERNETES and endpoint.resource == "/":
        endpoint = replace(endpoint, resource=job.settings.options.kubernetes.resource)
    return job.square(target.name, path, endpoint)


def of_name(job: Job) -> Square | None:
    """The square of a name on the axis of a dns probe."""
    asked = str(job.get("name"))
    endpoint = Endpoint("dns", "", DEFAULT_PORTS["dns"], asked, shown=f"dns:///{asked}")
    return _query(job, f'the name "{asked}"', asked, "", endpoint, None, Question(None, None))


def of_api_server(job: Job) -> Square | None:
    """The square of one way to this cluster's API server, which `kind: kubernetes` has by itself."""
    path = str(job.get("path"))
    if path not in PRESET_PATHS:
        job.report(f'"{path}" is not one of {", ".join(PRESET_PATHS)}: the ways to this cluster\'s API server', "path")
        return None
    resource = job.settings.options.kubernetes.resource
    endpoint = Endpoint("https", API_SERVER, DEFAULT_PORTS["https"], resource, shown=f"https://{API_SERVER}{resource}")
    return job.square(PRESET, path, endpoint, "api", to_api_server=path == "ip")


def by_profile(kind: Kind, square: Square) -> tuple[Square, ...]:
    """A dns square once for each resolver profile, `/profile` behind its path label; as it is for glibc alone."""
    profiles = square.options.resolver.profile
    if kind is not Kind.DNS or profiles == (Profile.GLIBC,):
        return (square,)
    return tuple(
        replace(square, path=f"{square.path}/{profile}", options=_asked_as(square.options, profile))
        for profile in profiles
    )


def _asked_as(options: KindOptions, profile: Profile) -> KindOptions:
    resolver = options.resolver.model_copy(update={"profile": (profile,)})
    return options.model_copy(update={"resolver": resolver})


def _query(
    job: Job, name: str, target: str, path: str, endpoint: Endpoint, narrowed: tuple[Family, ...] | None,
    asked: Question,
) -> Square | None:  # fmt: skip
    """The square of one question: its server, its type and transport, and the label `TYPE/transport[/…]`."""
    server = job.get("server")
    if server is not None:
        pinned = _pinned(job, server, endpoint)
        if pinned is None:
            return None
        endpoint = pinned
    able, source = _servers(job, endpoint)
    if not _reaches(job, name, able, narrowed):
        return None
    options = _question(job, asked, search=None if not endpoint.host else server is not None)
    label = "/".join(filter(None, (options.dns.type, options.dns.transport, path, server)))
    return job.square(target, label, endpoint, source, options)


def _pinned(job: Job, server: str, endpoint: Endpoint) -> Endpoint | None:
    """`endpoint` asked of the server of this name. None where there is none, or another is in the URL."""
    if endpoint.host:
        job.report("the dns:// URL already says which server to ask: write dns:///name for this axis", "server")
        return None
    text = job.settings.servers.get(server)
    if text is None:
        job.report(f'no server "{server}" in resolver.named{suggest(server, job.settings.servers)}', "server")
        return None
    try:
        host, port = parse_server(text)
    except ValueError:
        return None  # reported where it stands, in resolver.named
    where = redact_text(host_port(host, port), job.document.hidden)
    return replace(endpoint, host=host, port=port, shown=f"dns://{where}/{endpoint.resource}")


def _servers(job: Job, endpoint: Endpoint) -> tuple[tuple[Family, ...] | None, Source]:
    """The families of the servers that are asked: None where they are the vantage's own."""
    if endpoint.host:
        own = literal_family(endpoint.host)
        return (own,) if own is not None else None, "vantage"
    found = [_server_family(text) for text in job.settings.options.resolver.servers]
    families = tuple(dict.fromkeys(family for family in found if family is not None))
    return (families, "vantage") if families else (None, "resolver")


def _server_family(text: str) -> Family | None:
    try:
        return literal_family(parse_server(text)[0])
    except ValueError:
        return None  # reported where it stands, in resolver.servers


def _question(job: Job, asked: Question, search: bool | None) -> KindOptions:
    """The options of a dns cell: axes before the URL before the block. Squares with one question share them."""
    options = job.settings.options
    transport = job.get("transport") or asked.transport or options.dns.transport
    chosen = options.dns.model_copy(
        update={
            "type": job.get("type") or asked.type or options.dns.type,
            "transport": transport,
            "search": search if options.dns.search is None else options.dns.search,
        }
    )
    key = (chosen.type, chosen.transport, chosen.search)
    return job.settings.questions.setdefault(key, options.model_copy(update={"dns": chosen}))


def _reaches(job: Job, name: str, able: tuple[Family, ...] | None, narrowed: tuple[Family, ...] | None) -> bool:
    """Whether the combination's family can be had on a path: `able` is what its addresses are, `narrowed` its own list.

    A family that the probe itself asks for and the addresses rule out is reported, and a path that is left with none.
    """
    family, demand = job.family, job.chosen.demand
    own = "families" in job.entry.model_fields_set
    listed = (job.entry.families if own else job.defaults.families) if "family" not in job.axes.values else None
    place = ((*job.loc, "families") if own else ("defaults", "families")) if listed else None
    if narrowed is not None and family not in narrowed:
        if listed and not set(listed) & set(narrowed):
            job.document.report(place or (), f"{name} has only {' and '.join(narrowed)}: no family is left")
        return False
    if able is None or family in able:
        return True
    lost = listed is not None and not set(listed) & set(able)
    if demand == "strict" or lost:
        what = f"is asked of an {able[0]} server" if job.entry.kind is Kind.DNS else f"goes to an {able[0]} address"
        message = f"{name} {what}: {family} can't reach it"
        job.document.report(place or job.axes.where("family", family), message)
    return False
