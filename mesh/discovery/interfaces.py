"""Which of a machine's network interfaces carry mDNS, and which addresses are worth telling.

Loopback is always one of them: programs on one machine meet there when the network is down, when
a firewall drops multicast, and where macOS denies a background program the local network.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil

# Every packet goes out once per interface and address family. A laptop has three or four; a host
# of containers has a bridge for each of their networks and would talk mostly to itself.
INTERFACES_MAX = 8
ADDRESSES_MAX = 4  # what a listener keeps of one machine, see table.ENDPOINTS_NOW_MAX

_ROUTED = ("198.51.100.1", 9)  # TEST-NET-2 (RFC 5737); a UDP connect to it sends nothing


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface, with at most one address of each family."""

    name: str
    index: int  # of the operating system
    ipv4: str  # "" if it has none
    ipv6: str  # "" if it has none; without scope
    is_loopback: bool = False


def usable_interfaces(wanted: Sequence[str] = ()) -> tuple[Interface, ...]:
    """Return the interfaces to use now, that of the default route first, loopback last.

    ``wanted`` are addresses: if any are given, exactly these are used.

    Raises:
        ValueError: one of ``wanted`` is no address, or no interface that is up has it.
        OSError: the operating system does not say which interfaces there are.
    """
    wanted = [str(ipaddress.ip_address(address)) for address in wanted]
    chosen = [_only(each, wanted) if wanted else _suited(each) for each in _interfaces_up()]
    for address in wanted:
        if not any(address in (*each.ipv4, *each.ipv6) for each in chosen):
            raise ValueError(f"no interface that is up has the address {address}")
    found = [_interface(each) for each in chosen if each.ipv4 or each.ipv6]
    routed = _routed_address()
    found.sort(key=lambda each: (each.is_loopback, each.ipv4 != routed, each.index))
    outward = [each for each in found if not each.is_loopback][: INTERFACES_MAX - 1]
    return (*outward, *(each for each in found if each.is_loopback))


def published_addresses(interfaces: Sequence[Interface]) -> tuple[str, ...]:
    """Return the addresses to tell others, at most ``ADDRESSES_MAX``, the likeliest first.

    Link-local IPv6 is left out: without the listener's scope nobody can dial it.
    """
    outward = [each for each in interfaces if not each.is_loopback]
    addresses = [each.ipv4 for each in outward if each.ipv4]
    addresses += [each.ipv6 for each in outward if each.ipv6 and not _is_link_local(each.ipv6)]
    if not addresses:  # nobody but this machine can hear it
        addresses = [each.ipv4 or each.ipv6 for each in interfaces]
    return tuple(addresses[:ADDRESSES_MAX])


@dataclass(frozen=True, slots=True)
class _Found:
    """An interface with all of its addresses."""

    name: str
    flags: tuple[str, ...]
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


def _interfaces_up() -> Iterator[_Found]:
    stats = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name in stats and stats[name].isup:
            ipv4, ipv6 = (
                tuple(each.address.partition("%")[0] for each in addresses if each.family == family)
                for family in (socket.AF_INET, socket.AF_INET6)
            )
            yield _Found(name, tuple(stats[name].flags.split(",")), ipv4, ipv6)


def _only(found: _Found, wanted: Sequence[str]) -> _Found:
    ipv4 = tuple(address for address in found.ipv4 if address in wanted)
    ipv6 = tuple(address for address in found.ipv6 if address in wanted)
    return _Found(found.name, found.flags, ipv4, ipv6)


def _suited(found: _Found) -> _Found:
    """Return ``found`` without the addresses, maybe all, that are no use for mDNS."""
    if "loopback" in found.flags:  # one family is enough to meet oneself
        return _Found(found.name, found.flags, found.ipv4, () if found.ipv4 else found.ipv6)
    is_tunnel = "multicast" not in found.flags or "pointopoint" in found.flags
    # With nothing but a link-local IPv6 address it is the cable of a container, or Apple's
    # peer-to-peer radio: nobody lives there.
    is_bare = not found.ipv4 and all(_is_link_local(address) for address in found.ipv6)
    return _Found(found.name, found.flags, (), ()) if is_tunnel or is_bare else found


def _interface(found: _Found) -> Interface:
    ipv6 = sorted(found.ipv6, key=_is_link_local)
    return Interface(
        name=found.name,
        index=socket.if_nametoindex(found.name),
        ipv4=next(iter(found.ipv4), ""),
        ipv6=next(iter(ipv6), ""),
        is_loopback="loopback" in found.flags,
    )


def _is_link_local(address: str) -> bool:
    return ipaddress.ip_address(address).is_link_local


def _routed_address() -> str:
    """Return the address that the default route sends from, "" without such a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ROUTED)
        except OSError:
            return ""
        return str(probe.getsockname()[0])
