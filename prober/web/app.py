"""The routes of the app, and how errors leave it: `{"error": …}` with a fitting status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from prober.web import api
from prober.web.page import page
from prober.web.query import BadQuery, did_you_mean, refuse_unknown
from prober.web.stream import Streamed
from prober.web.view import LabControl, ServiceView

Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(service: ServiceView, *, lab: LabControl | None = None) -> Starlette:
    """The app over a service; with a lab also the routes that switch its faults."""
    routes = [
        *_service_routes(service),
        _route("/api/v1/cells", lambda request: api.cells(service, request.query_params), query=api.CELLS_QUERY),
        _route("/api/v1/runs", lambda request: api.runs(service, request.query_params), query=api.RUNS_QUERY),
        *_baseline_routes(service),
        *(_lab_routes(lab) if lab is not None else ()),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_error, BadQuery: _bad_query, Exception: _own_error},
    )


def _route(
    path: str, endpoint: Endpoint, methods: Iterable[str] = ("GET",), query: Iterable[str] | None = None
) -> Route:
    """A route that takes the query parameters `query` and refuses all others; None: whatever a scraper adds."""
    if query is None:
        return Route(path, endpoint, methods=list(methods))
    known = tuple(query)

    async def checked(request: Request) -> Response:
        refuse_unknown(request.query_params, known)
        return await endpoint(request)

    return Route(path, checked, methods=list(methods))


def _service_routes(service: ServiceView) -> list[Route]:
    async def metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        headers, body = await service.exposition.render(accept, request.headers.get("accept-encoding", ""))
        return Streamed(body, headers)

    async def healthz(_: Request) -> Response:
        return _state(service.healthy())

    async def readyz(_: Request) -> Response:
        return _state(service.ready())

    async def reload(_: Request) -> Response:
        result = await service.reload()
        return PlainTextResponse(result.message.rstrip("\n") + "\n", status_code=200 if result.ok else 422)

    async def root(_: Request) -> Response:
        return await page(service)

    return [
        _route("/", root),
        _route("/metrics", metrics),
        _route("/healthz", healthz),
        _route("/readyz", readyz),
        _route("/-/reload", reload, methods=("POST",)),
    ]


def _baseline_routes(service: ServiceView) -> list[Route]:
    """What they need (numpy, SQLite) is imported once the service itself has it."""

    async def regressions(request: Request) -> Response:
        if service.tracker is None:
            return JSONResponse({"summary": [], "regressions": [], "budgets": []})
        from prober.web.regressions import regressions

        return await regressions(service.tracker, request.query_params)

    def route(path: str, methods: Mapping[str, tuple[str, tuple[str, ...]]]) -> Route:
        """`methods`: the name of the endpoint, and the query parameters that it knows."""

        async def endpoint(request: Request) -> Response:
            name, known = methods["GET" if request.method == "HEAD" else request.method]
            refuse_unknown(request.query_params, known)
            tracker = service.tracker
            if tracker is None or tracker.baselines is None:
                raise HTTPException(404, "baselines are not enabled here")
            from prober.web.baselines import ENDPOINTS

            return await ENDPOINTS[name](tracker, tracker.baselines, request)

        return Route(path, endpoint, methods=list(methods))

    root, version = "/api/v1/baselines", ("version",)
    return [
        route("/api/v1/shifts", {"GET": ("shifts", ("from", "to"))}),
        _route("/api/v1/regressions", regressions, query=api.REGRESSIONS_QUERY),
        route(root, {"GET": ("list", ()), "POST": ("record", ())}),
        route(f"{root}/now/export", {"GET": ("export_now", ("from", "to"))}),
        route(f"{root}/import", {"POST": ("import", ())}),
        route(f"{root}/{{label}}", {"GET": ("one", version), "DELETE": ("delete", (*version, "force"))}),
        route(f"{root}/{{label}}/accept", {"POST": ("accept", version)}),
        route(f"{root}/{{label}}/export", {"GET": ("export", version)}),
    ]


def _state(state: tuple[bool, str]) -> Response:
    ok, says = state
    return PlainTextResponse(says + "\n", status_code=200 if ok else 503)


def _lab_routes(lab: LabControl) -> list[Route]:
    async def faults(_: Request) -> Response:
        return JSONResponse({"faults": list(lab.faults)})

    async def switch(request: Request) -> Response:
        name = request.path_params["name"]
        names = [str(fault["name"]) for fault in lab.faults]
        if name not in names:
            raise HTTPException(404, f"no fault {name!r}{did_you_mean(name, names)}")
        try:
            await lab.set_fault(name, request.method == "PUT")
        except RuntimeError as error:
            raise HTTPException(409, str(error)) from error
        return JSONResponse(next(fault for fault in lab.faults if fault["name"] == name))

    return [
        _route("/api/v1/lab/faults", faults),
        _route("/api/v1/lab/faults/{name}", switch, methods=("PUT", "DELETE")),
    ]


async def _http_error(_: Request, error: Exception) -> Response:
    status, detail, headers = 500, str(error), None
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, error.headers
    return JSONResponse({"error": detail}, status_code=status, headers=headers)


async def _bad_query(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _own_error(_: Request, __: Exception) -> Response:
    """Our own bug. Starlette raises it again after the answer, and the server logs it."""
    return JSONResponse({"error": "internal error: see the log"}, status_code=500)
