"""A gRPC service of the tests' own, with reflection in either version: payments.v1.Payments, its messages made here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, json_format, message_factory, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from prober.reasons import Family
from tests.support.cells import LOOPBACK

SERVICE = "payments.v1.Payments"
_STRING, _INT32, _MESSAGE = (FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_INT32,
                             FieldDescriptorProto.TYPE_MESSAGE)  # fmt: skip


def _message(file: FileDescriptorProto, name: str, *fields: tuple[str, int, str]) -> None:
    message = file.message_type.add(name=name)
    for number, (field_name, kind, type_name) in enumerate(fields, 1):
        message.field.add(name=field_name, number=number, type=kind, type_name=type_name or None,
                          label=FieldDescriptorProto.LABEL_OPTIONAL)  # fmt: skip


def files() -> dict[str, FileDescriptorProto]:
    """payments.proto, which imports money.proto, and both google's timestamp.proto."""
    money = FileDescriptorProto(name="money.proto", package="payments.v1", syntax="proto3")
    _message(money, "Money", ("currency", _STRING, ""), ("cents", _INT32, ""))
    payments = FileDescriptorProto(name="payments.proto", package="payments.v1", syntax="proto3",
                                   dependency=["money.proto", "google/protobuf/timestamp.proto"])  # fmt: skip
    _message(payments, "GetRequest", ("payment_id", _STRING, ""), ("since", _MESSAGE, ".google.protobuf.Timestamp"))
    _message(
        payments, "Payment", ("payment_id", _STRING, ""), ("amount", _MESSAGE, ".payments.v1.Money"),
        ("made_at", _MESSAGE, ".google.protobuf.Timestamp"),
    )  # fmt: skip
    service = payments.service.add(name="Payments")
    service.method.add(name="Get", input_type=".payments.v1.GetRequest", output_type=".payments.v1.Payment")
    service.method.add(name="Follow", input_type=".payments.v1.GetRequest", output_type=".payments.v1.Payment",
                       server_streaming=True)  # fmt: skip
    return {file.name: file for file in (money, payments)}


def all_files() -> dict[str, FileDescriptorProto]:
    """With what servers may leave out, since everybody has it, but grpcurl does not have."""
    timestamp = FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    return {timestamp.name: timestamp, **files()}


Reply = Callable[[dict[str, Any], "grpc.aio.ServicerContext[Any, Any]"], Awaitable[dict[str, Any]]]


async def paid(request: dict[str, Any], _context: object) -> dict[str, Any]:
    """A payment of 12.50 EUR."""
    return {
        "paymentId": request.get("paymentId", ""), "amount": {"currency": "EUR", "cents": 1250},
        "madeAt": request.get("since", "2026-01-01T00:00:00Z"),
    }  # fmt: skip


@dataclass
class Payments:
    """The running server: its port, the questions that reflection was asked, and what is left out there."""

    reply: Reply = paid
    whole: bool = True
    """Reflection gives the imports with the file, not only when they are asked for."""
    described: dict[str, FileDescriptorProto] = field(default_factory=files)
    port: int = 0
    asked: list[str] = field(default_factory=list)

    def _classes(self) -> tuple[Any, Any]:
        pool = descriptor_pool.DescriptorPool()
        for file in all_files().values():
            pool.AddSerializedFile(file.SerializeToString())
        method = pool.FindServiceByName(SERVICE).methods_by_name["Get"]
        return message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)

    async def get(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """payments.v1.Payments/Get."""
        asked, answered = self._classes()
        reply = await self.reply(json_format.MessageToDict(asked.FromString(request)), context)
        data: bytes = json_format.ParseDict(reply, answered()).SerializeToString()
        return data

    async def reflect(self, requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        """ServerReflectionInfo."""
        async for request in requests:
            response = reflection_pb2.ServerReflectionResponse()
            name = request.file_by_filename or ("payments.proto" if request.file_containing_symbol == SERVICE else "")
            self.asked.append(request.file_by_filename or request.file_containing_symbol)
            if name in self.described:
                names = list(self.described) if self.whole else [name]
                described = response.file_descriptor_response.file_descriptor_proto
                described.extend(self.described[each].SerializeToString() for each in names)
            else:
                response.error_response.error_code = 5
                response.error_response.error_message = "not found"
            yield response


@asynccontextmanager
async def serving(
    payments: Payments, family: Family = Family.IPV4, versions: tuple[str, ...] = ("v1",)
) -> AsyncIterator[Payments]:
    """The service with reflection in `versions`."""
    server = grpc.aio.server()
    get = grpc.unary_unary_rpc_method_handler(payments.get)
    handlers = [grpc.method_handlers_generic_handler(SERVICE, {"Get": get})]
    for version in versions:
        info = grpc.stream_stream_rpc_method_handler(
            payments.reflect,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        name = f"grpc.reflection.{version}.ServerReflection"
        handlers.append(grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": info}))
    server.add_generic_rpc_handlers(tuple(handlers))
    host = f"[{LOOPBACK[family]}]" if family is Family.IPV6 else LOOPBACK[family]
    payments.port = server.add_insecure_port(f"{host}:0")
    await server.start()
    try:
        yield payments
    finally:
        await server.stop(None)
