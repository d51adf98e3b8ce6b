"""What a broken way to the upstream means, in words of ours: the library's may hold addresses."""

import httpx2

from mesh.errors import DeadlineExceeded, MeshError, NodeLost


def meant(failure: MeshError | httpx2.HTTPError | TimeoutError) -> MeshError:
    """Return the error that a client gets for ``failure``."""
    match failure:
        case MeshError():
            return failure
        case TimeoutError():
            return DeadlineExceeded("the request's time ran out while the upstream was answering")
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return NodeLost("the upstream cannot be reached: nobody answers there in time")
        case httpx2.ProxyError():
            return NodeLost("the proxy on the way to the upstream refused")
        case httpx2.ConnectError() if "certificate" in str(failure).lower():
            return NodeLost("the upstream's certificate is not one that this machine trusts")
        case httpx2.ConnectError():
            return NodeLost("the upstream cannot be reached")
        case httpx2.ProtocolError():
            return NodeLost("the upstream broke off, or does not speak HTTP")
        case _:
            return NodeLost("the connection to the upstream broke")
