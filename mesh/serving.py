"""Serving gRPC on a port, whoever does: the standard services, loopback, and a port's refusal."""

from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh.errors import ServiceError
from mesh.rpc import SERVER_OPTIONS
from mesh.v1 import inference_pb2

INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["Inference"].full_name


def new_server(
    services: Sequence[str], options: Sequence[tuple[str, int | str]] = ()
) -> grpc.aio.Server:
    """Return a server with the standard health and reflection services for ``services``.

    ``options`` are gRPC's, and come after those of every server.
    """
    server = grpc.aio.server(options=list({**dict(SERVER_OPTIONS), **dict(options)}.items()))
    serving = health.aio.HealthServicer()
    for name in ("", *services):
        serving._server_status[name] = health_pb2.HealthCheckResponse.SERVING
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    return server


def listen_loopback(server: grpc.aio.Server, port: int, *, setting: str) -> int:
    """Listen in plain text on 127.0.0.1 alone, and return the port.

    Raises:
        ServiceError: the port is in use, or may not be used.
    """
    try:
        return server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as failure:
        raise port_refused(port, setting) from failure


def port_refused(port: int, setting: str) -> ServiceError:
    """Return what to tell of a port that cannot be listened on."""
    return ServiceError(
        f"cannot listen on port {port}: it is in use, or not allowed",
        hint=f"does deskmesh run here already? else set DESKMESH_PORTS__{setting} to another",
    )
