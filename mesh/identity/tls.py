"""TLS for grpc.aio, made of identities. The ports are those of DESIGN.md, section 3.

Nothing here listens or dials; each function returns what ``add_secure_port`` or
``grpc.aio.secure_channel`` takes. Peers are verified by the mesh CA and by name, and the name is
the coordinator's whatever address was dialled: that is what ``name_override`` does.
"""

from collections.abc import Callable

import grpc

from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import coordinator_name
from mesh.identity.reading import authority_mesh_id

ChannelOptions = tuple[tuple[str, str], ...]


def server_credentials(
    current: Callable[[], MachineIdentity], *, require_client: bool = True
) -> grpc.ServerCredentials:
    """Return what a coordinator listens with.

    Args:
        current: returns the coordinator's identity of this moment. gRPC calls it at each handshake,
            from a thread of its own, so it may only read; a renewed certificate is used from the
            next handshake on, without a restart.
        require_client: True admits only clients that show a certificate of the mesh (port 7443);
            False asks for none (port 7444).

    The CA's certificate is sent along with the server's own: a joiner gets it from there.
    """
    used = current()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        identity = current()
        if identity is used:
            return None
        used = identity
        return _configuration(identity, require_client=require_client)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(used, require_client=require_client),
        renewed,  # type: ignore[arg-type]  # the stubs do not know that None means unchanged
        require_client_authentication=require_client,
    )


def channel_credentials(identity: MachineIdentity) -> grpc.ChannelCredentials:
    """Return what a machine dials the mesh port with; it shows who it is. Add ``name_override``."""
    return grpc.ssl_channel_credentials(
        root_certificates=identity.authority_pem,
        private_key=identity.key_pem,
        certificate_chain=identity.certificate_pem,
    )


def joining_credentials(authority_pem: bytes) -> grpc.ChannelCredentials:
    """Return what a machine dials the join port with; it shows nothing. Add ``name_override``.

    ``authority_pem`` has been compared with a join code, see ``bootstrap``.
    """
    return grpc.ssl_channel_credentials(root_certificates=authority_pem)


def name_override(authority_pem: bytes) -> ChannelOptions:
    """Return the channel options that make TLS expect the coordinator of that CA's mesh.

    Without them TLS would look for the dialled address in the certificate, where none is. With
    them no other machine passes, although the same CA vouches for it.

    Raises:
        NotAuthenticated: ``authority_pem`` is damaged.
    """
    name = coordinator_name(authority_mesh_id(authority_pem))
    return (("grpc.ssl_target_name_override", name),)


def _configuration(
    identity: MachineIdentity, *, require_client: bool
) -> grpc.ServerCertificateConfiguration:
    chain = identity.certificate_pem + identity.authority_pem
    return grpc.ssl_server_certificate_configuration(
        [(identity.key_pem, chain)],
        root_certificates=identity.authority_pem if require_client else None,
    )
