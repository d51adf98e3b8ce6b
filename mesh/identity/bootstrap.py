"""A joiner's first contact: get the mesh CA's certificate from a stranger, and know it is the one.

The handshake is not verified, for nothing is there yet to verify it with; what counts is that the
sha256 of a certificate which the other side sends is the one in the join code. Nothing is sent to
the other side. That it also holds the coordinator's key is proven on the next connection, which is
verified with this certificate as its root, and only there the secret is told.
"""

import asyncio
import hashlib
import ssl
import sys

from mesh.errors import NodeLost, NotAuthenticated
from mesh.identity.address import split_address

if sys.version_info < (3, 13):
    import _ssl

CHAIN_MAX = 8  # ours has two; a stranger's is not hashed for ever


async def fetch_authority(address: str, authority_sha256: bytes, *, timeout_s: float) -> bytes:
    """Return the PEM certificate whose sha256 is in the join code, as served at ``address``.

    Args:
        address: ``host:port`` of a coordinator's join port.
        authority_sha256: 32 bytes, of the DER form.
        timeout_s: for all of it, seconds.

    Raises:
        InvalidRequest: ``address`` is malformed.
        NodeLost: nothing answers there in time.
        NotAuthenticated: someone else answers there, or the code is of another mesh.
    """
    host, port = split_address(address)
    try:
        async with asyncio.timeout(timeout_s):
            chain = await _chain_of(host, port)
    except ssl.SSLError:
        raise NotAuthenticated(
            f"{address} does not answer as a coordinator's join port does",
            hint="check the port, and that no other program listens there",
        ) from None
    except TimeoutError:
        raise _unreachable(address, f"no answer within {timeout_s:g} s") from None
    except OSError as failure:
        raise _unreachable(address, failure.strerror or str(failure)) from None
    for certificate in chain[:CHAIN_MAX]:
        if hashlib.sha256(certificate).digest() == authority_sha256:
            return ssl.DER_cert_to_PEM_cert(certificate).encode("ascii")
    raise NotAuthenticated(
        f"{address} does not prove to be the mesh of this join code: someone else answers there, "
        "or the code is of another mesh",
        hint="make a new code with deskmesh invite on the machine you want to join",
    )


async def _chain_of(host: str, port: int) -> list[bytes]:
    """Return the certificates, DER, that a TLS server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])  # gRPC's servers refuse whoever speaks nothing they know
    # No server name is sent: the right one is not known yet, and gRPC logs an error at a wrong one.
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="")
    try:
        return _unverified_chain(writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()  # nothing was said, so nothing needs a goodbye


def _unverified_chain(connection: ssl.SSLObject) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return connection.get_unverified_chain()
    else:  # without the else, mypy reads this branch on 3.13 as well
        # Python made this public in 3.13 only. The truststore project, which pip relies on, reads
        # the chain of 3.10 to 3.12 in the same way.
        inner = connection._sslobj  # type: ignore[attr-defined]
        return [part.public_bytes(_ssl.ENCODING_DER) for part in inner.get_unverified_chain() or ()]


def _unreachable(address: str, why: str) -> NodeLost:
    return NodeLost(
        f"no coordinator can be reached at {address}: {why}",
        hint="check that deskmesh up runs there, and that this network lets the two machines talk",
    )
