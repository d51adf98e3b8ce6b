"""What was heard of a machine, and the events that tell of a change. Pure data."""

from dataclasses import dataclass

from mesh.discovery.advert import Advert


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a machine might be reached. A node's ports are 0: it is never dialled."""

    host: str  # an IPv4 or IPv6 address, link-local IPv6 with its scope ("fe80::1%2")
    mesh_port: int
    join_port: int

    def target(self, port: int) -> str:
        """Return ``host:port`` in the form that gRPC and URLs take."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A machine's latest advert, and every place it was heard at of late. A hint, no more."""

    advert: Advert
    endpoints: tuple[Endpoint, ...]  # those of the latest advert first; at least one
    seen_at_s: float  # when it was last heard, on the event loop's monotonic clock
    gone: bool = False  # it said goodbye, or was not heard until its records ran out

    @property
    def addresses(self) -> tuple[str, ...]:
        """The hosts of ``endpoints``, each once."""
        return tuple(dict.fromkeys(endpoint.host for endpoint in self.endpoints))


@dataclass(frozen=True, slots=True)
class MachineSeen:
    """A machine is new, is back, or says something else than before."""

    sighting: Sighting


@dataclass(frozen=True, slots=True)
class MachineGone:
    """A machine said goodbye, fell silent, or was crowded out of the table.

    Anyone can forge a goodbye: stop showing the machine, and change nothing else.
    """

    sighting: Sighting


MachineEvent = MachineSeen | MachineGone
