"""What is said where a host cannot be reached at all."""

from mesh.errors import NodeLost

_CAUSES_MAX = 8  # of one failure within another: two libraries have wrapped it, by now


def is_refused(failure: BaseException) -> bool:
    """Whether the host itself said, through whatever raised ``failure``, that nobody listens."""
    cause: BaseException | None = failure
    for _ in range(_CAUSES_MAX):
        if cause is None or isinstance(cause, ConnectionRefusedError):
            break
        cause = cause.__cause__ or cause.__context__
    return isinstance(cause, ConnectionRefusedError)


def no_way_to(host: str, *, refused: bool = False) -> NodeLost:
    """Return what is said of it.

    Args:
        refused: the host, or its firewall, refuses connections: so there is a way.
    """
    if refused:
        return NodeLost(
            f"{host} refuses the connection: nobody serves at that port",
            hint="check the address, and whether its server runs",
        )
    return NodeLost(
        f"no way to {host}: this machine is offline, or a firewall or proxy stands between",
        hint="models that are here go on being served; `deskmesh models add FILE` takes a file",
    )
