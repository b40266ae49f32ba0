"""Server reflection: what a method's messages look like, asked of the server itself, and JSON to and from them.

github.com/grpc/grpc, doc/server-reflection.md: v1, and v1alpha with the same messages for servers that are older.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError, Message
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from prober.wire.grpc.answer import Answer
from prober.wire.grpc.talk import Duplex, Metadata, Talk

VERSIONS: Final = ("v1", "v1alpha")
#: Files of one method, its imports included.
MAX_FILES: Final = 256
_NOT_FOUND: Final = 5


class NotDescribed(Exception):
    """Reflection did not tell. `answer` is how its call ended; None where it answered, but without what was asked."""

    def __init__(self, why: str, answer: Answer | None = None) -> None:
        super().__init__(why)
        self.answer = answer


class NoSuchMethod(NotDescribed):
    """The server does not have it: `service` says whether it has at least the service."""

    def __init__(self, why: str, *, service: bool) -> None:
        super().__init__(why)
        self.service = service


@dataclass(frozen=True, slots=True)
class Method:
    """A unary method as the server describes it."""

    path: str
    """`/package.Service/Method`"""
    version: str
    """Of reflection."""
    files: int
    """Descriptor files that it took."""
    _pool: descriptor_pool.DescriptorPool
    _descriptor: MethodDescriptor

    def encode(self, request: dict[str, Any]) -> bytes:
        """The request in the form of the wire. ValueError where the JSON does not fit the method's message."""
        message = message_factory.GetMessageClass(self._descriptor.input_type)()
        try:
            json_format.ParseDict(request, message, descriptor_pool=self._pool)
        except json_format.ParseError as error:
            raise ValueError(f"does not fit {self._descriptor.input_type.full_name}: {error}") from error
        return message.SerializeToString()

    def decode(self, payload: bytes) -> str:
        """The response as JSON. ValueError for bytes that are no such message."""
        message: Message = message_factory.GetMessageClass(self._descriptor.output_type)()
        try:
            message.ParseFromString(payload)
            return json_format.MessageToJson(message, indent=None, descriptor_pool=self._pool)
        except (DecodeError, json_format.Error, TypeError) as error:
            raise ValueError(f"not a {self._descriptor.output_type.full_name}: {error}") from error


async def describe(talk: Talk, call: str, metadata: Metadata, timeout: float | None) -> Method:
    """What `package.Service/Method` is. Raises NotDescribed, or HttpBroken of the connection."""
    ended: Answer | None = None
    for version in VERSIONS:
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        async with talk.duplex(path, metadata, timeout) as duplex:
            found = await _files(duplex, call.partition("/")[0])
        if not isinstance(found, Answer):
            return _method(call, version, found)
        ended = found
        if ended.code != "UNIMPLEMENTED":
            break
    raise NotDescribed("the server does not offer reflection", ended)


async def _files(duplex: Duplex, symbol: str) -> dict[str, FileDescriptorProto] | Answer:
    """The file that defines `symbol` and all that it imports, by name; or how reflection ended instead."""
    files: dict[str, FileDescriptorProto] = {}
    request = ServerReflectionRequest(file_containing_symbol=symbol)
    while True:
        message = await duplex.ask(request.SerializeToString())
        if isinstance(message, Answer):
            return message
        for file in _described(message, request):
            files.setdefault(file.name, file)
        missing = [name for file in files.values() for name in file.dependency if name not in files]
        if not missing:
            return files
        if len(files) > MAX_FILES:
            raise NotDescribed(f"more than {MAX_FILES} descriptor files")
        request = ServerReflectionRequest(file_by_filename=missing[0])


def _described(message: bytes, request: ServerReflectionRequest) -> list[FileDescriptorProto]:
    """The files of one response; at least one."""
    try:
        response = ServerReflectionResponse.FromString(message)
        files = [
            FileDescriptorProto.FromString(data) for data in response.file_descriptor_response.file_descriptor_proto
        ]
    except DecodeError as error:
        raise NotDescribed("reflection answers with what is no descriptor") from error
    if response.HasField("error_response"):
        if request.file_by_filename:
            return _well_known(request.file_by_filename)
        if response.error_response.error_code == _NOT_FOUND:
            raise NoSuchMethod(f"no service {request.file_containing_symbol}", service=False)
        raise NotDescribed(f"reflection answers: {response.error_response.error_message}"[:200])
    if not files:
        raise NotDescribed("reflection answers without a descriptor")
    return files


def _well_known(name: str) -> list[FileDescriptorProto]:
    """A file that servers may leave out, since everybody has it (google/protobuf/timestamp.proto)."""
    file = FileDescriptorProto()
    try:
        descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
    except KeyError:
        raise NotDescribed(f"reflection does not have {name}, which is imported") from None
    return [file]


def _method(call: str, version: str, files: dict[str, FileDescriptorProto]) -> Method:
    pool = descriptor_pool.DescriptorPool()
    try:
        _add(pool, files)
        service, name = call.split("/")
        methods = pool.FindServiceByName(service).methods_by_name
    except KeyError:
        raise NoSuchMethod(f"no service {call.partition('/')[0]}", service=False) from None
    except TypeError as error:
        raise NotDescribed(f"descriptors that do not fit together: {error}"[:200]) from error
    if name not in methods:
        raise NoSuchMethod(f"{service} has no method {name}", service=True)
    method = methods[name]
    if method.client_streaming or method.server_streaming:
        raise NoSuchMethod(f"{call} streams: only unary methods are called", service=True)
    return Method(f"/{call}", version, len(files), pool, method)


def _add(pool: descriptor_pool.DescriptorPool, files: dict[str, FileDescriptorProto]) -> None:
    """Add the files, imports first. TypeError where they don't fit together, or import each other."""
    added: set[str] = set()
    while len(added) < len(files):
        ready = [f for f in files.values() if f.name not in added and added.issuperset(f.dependency)]
        if not ready:
            raise TypeError("imports that go round in a circle")
        for file in ready:
            pool.AddSerializedFile(file.SerializeToString())
            added.add(file.name)
