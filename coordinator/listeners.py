"""The ports of a coordinator, and what is served on each.

========  ==========================  =====================================================
port      who                         what
========  ==========================  =====================================================
mesh      certificate of the mesh     everything, by role
join      anyone, over TLS            Enrolment.Join, and Renew by proof of a key
local     programs of this machine    Inference
http      tools and browsers of it    OpenAI's API at /v1, the mesh-health page at /
========  ==========================  =====================================================
"""

from dataclasses import dataclass

import grpc

from mesh.descriptors import raise_descriptor_limit
from mesh.rpc import SERVER_OPTIONS
from mesh.serving import INFERENCE, new_server, port_refused
from mesh.v1 import fleet_pb2, operations_pb2

FLEET = fleet_pb2.DESCRIPTOR.services_by_name["Fleet"].full_name
ENROLMENT = fleet_pb2.DESCRIPTOR.services_by_name["Enrolment"].full_name
OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"].full_name


JOINING_MAX = 64  # calls at a time on the join port; each takes milliseconds
JOINING_CONNECTIONS_MAX = 128
HANDSHAKE_WITHIN_MS = 5_000  # gRPC's own two minutes let whoever says nothing hold a descriptor
CONNECTIONS_OF_A_NODE = 2  # its agent's, and one of a program or a command of its owner
CONNECTIONS_OF_OTHERS = 1024  # laptops that only use the mesh, operators
# Descriptors that connections of the mesh leave alone: 512 of the HTTP door, those of the join
# port, and 128 for files, sockets and the upstream.
KEPT_FREE = 512 + JOINING_CONNECTIONS_MAX + 128
CONNECTIONS_MIN = 64  # where a process may hardly have any
_STRANGERS = (
    ("grpc.max_receive_message_length", 64 * 1024),  # a signing request is a few hundred bytes
    ("grpc.max_concurrent_streams", 4),
    # Who says nothing loses the connection, so that 64 silent calls keep nobody out for long.
    ("grpc.max_connection_age_ms", 10_000),  # a join takes 0.1 s, over the slowest Wi-Fi 2 s
    ("grpc.max_connection_age_grace_ms", 2_000),
    ("grpc.max_allowed_incoming_connections", JOINING_CONNECTIONS_MAX),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_WITHIN_MS),
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a coordinator listens."""

    mesh: int
    join: int
    local: int
    http: int = 0


def new_mesh_server(nodes_max: int) -> grpc.aio.Server:
    """Return a server for the members of a mesh of so many nodes, which no stranger can fill up.

    Who shows no certificate of the mesh in time loses the connection; and there are no more
    connections than this process has descriptors for.
    """
    wanted = nodes_max * CONNECTIONS_OF_A_NODE + CONNECTIONS_OF_OTHERS
    room = max(CONNECTIONS_MIN, raise_descriptor_limit() - KEPT_FREE)
    options = (
        ("grpc.max_allowed_incoming_connections", min(wanted, room)),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_WITHIN_MS),
    )
    return new_server((INFERENCE, FLEET, ENROLMENT, OPERATIONS), options)


def new_join_server() -> grpc.aio.Server:
    """Return a server for strangers: small messages, few streams, nothing to look around with."""
    options = {**dict(SERVER_OPTIONS), **dict(_STRANGERS)}
    return grpc.aio.server(options=list(options.items()), maximum_concurrent_rpcs=JOINING_MAX)


def listen_tls(
    server: grpc.aio.Server, port: int, credentials: grpc.ServerCredentials, *, setting: str
) -> int:
    """Listen on all interfaces with TLS, IPv6 and IPv4, and return the port.

    Raises:
        ServiceError: the port is in use, or may not be used.
    """
    failure: RuntimeError | None = None
    for host in ("[::]", "0.0.0.0"):  # noqa: S104 - TLS with identity guards it; a host without IPv6
        try:
            return server.add_secure_port(f"{host}:{port}", credentials)
        except RuntimeError as refused:
            failure = refused
    raise port_refused(port, setting) from failure
