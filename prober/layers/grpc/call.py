"""`grpc.call`: a unary method, called with a JSON request. Held: it ends as expected, and so is its message.

What the messages look like the server itself says (reflection); that is asked once per cell, and again after a failure.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.excerpt import shown
from prober.layers.grpc.judge import Metadata, ended_as_expected, message_of, refused, rest_of
from prober.layers.http.judge import body_complaint
from prober.model import Endpoint
from prober.reasons import Reason
from prober.wire.grpc import Talk
from prober.wire.grpc.reflection import Method, NoSuchMethod, NotDescribed, describe

#: Methods kept, by the longest-unused first out.
MAX_METHODS: Final = 256


class Methods:
    """What servers said of their methods; a part of the kit."""

    def __init__(self) -> None:
        self._methods: dict[tuple[Endpoint, str], Method] = {}

    def get(self, key: tuple[Endpoint, str]) -> Method | None:
        """The method, if it is known."""
        method = self._methods.pop(key, None)
        if method is not None:
            self._methods[key] = method
        return method

    def keep(self, key: tuple[Endpoint, str], method: Method) -> None:
        """Keep it."""
        self._methods[key] = method
        if len(self._methods) > MAX_METHODS:
            del self._methods[next(iter(self._methods))]

    def forget(self, key: tuple[Endpoint, str]) -> None:
        """It may have changed: ask again."""
        self._methods.pop(key, None)

    def close(self) -> None:
        """Forget them all."""
        self._methods.clear()


async def call_method(ascent: Ascent, talk: Talk, metadata: Metadata, call: str) -> None:
    """Call it, and judge how that ends."""
    methods = ascent.kit.get(Methods)
    key = (ascent.cell.endpoint, call)
    ascent.evidence["call"] = call
    try:
        method = methods.get(key) or await _described(ascent, talk, metadata, call)
        methods.keep(key, method)
        await _call(ascent, talk, metadata, method)
    except Failed:
        methods.forget(key)
        raise


async def _described(ascent: Ascent, talk: Talk, metadata: Metadata, call: str) -> Method:
    """Ask reflection. Its time is no part of the layer's."""
    began = perf_counter()
    try:
        method = await describe(talk, call, metadata, rest_of(ascent))
    except NoSuchMethod as error:
        raise Failed(Reason.UNIMPLEMENTED if error.service else Reason.UNKNOWN_SERVICE, str(error)) from error
    except NotDescribed as error:
        if error.answer is None:
            raise Failed(Reason.NOT_GRPC, shown(ascent, str(error))) from error
        failure = refused(ascent, talk, error.answer, health=False)
        failure.detail = failure.detail or str(error)
        raise failure from error
    finally:
        ascent.evidence["reflection_seconds"] = round(perf_counter() - began, 6)
    ascent.evidence.update(reflection=method.version, descriptor_files=method.files)
    return method


async def _call(ascent: Ascent, talk: Talk, metadata: Metadata, method: Method) -> None:
    cell = ascent.cell
    try:
        request = method.encode(cell.options.grpc.request)
    except ValueError as error:
        raise Failed(Reason.BODY, f"the request {error}") from error
    talk.carrier.begin()
    answer = await talk.unary(method.path, request, metadata, rest_of(ascent))
    ended_as_expected(ascent, talk, answer, health=False)
    if answer.code == "OK":
        _judge_message(ascent, method, message_of(answer))


def _judge_message(ascent: Ascent, method: Method, payload: bytes) -> None:
    ascent.evidence.update(grpc_status="OK", size=len(payload))
    try:
        text = method.decode(payload)
    except ValueError as error:
        raise Failed(Reason.BODY, shown(ascent, str(error))) from error
    ascent.evidence["response"] = shown(ascent, text)
    if (failure := body_complaint(ascent.cell.expect, text.encode())) is not None:
        raise failure
