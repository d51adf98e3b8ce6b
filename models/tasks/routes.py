"""A routing table: the next hop is that of the longest prefix (RFC 1812, section 5.2.4.3)."""

import re
from ipaddress import IPv4Address, IPv4Network
from random import Random

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"Next hop of the address (\S+): ((?:\S+ to gw\d, )*\S+ to gw\d)")
_ROUTE = re.compile(r"(\S+) to (gw\d)")
_DEFAULT = "0.0.0.0/0"


def _route(octets: list[int], bits: int) -> str:
    kept = octets[: bits // 8]
    return ".".join(map(str, [*kept, *[0] * (4 - len(kept))])) + f"/{bits}"


def _other(rng: Random, octets: list[int], bits: int) -> list[int]:
    """Leave the prefix at its last octet, so that only all of it tells a route from the address."""
    changed = list(octets)
    last = bits // 8 - 1
    while changed[last] == octets[last]:
        changed[last] = rng.randint(1, 223)
    return changed


def _generate(rng: Random) -> Sample:
    octets = [rng.randint(1, 223), *(rng.randint(1, 254) for _ in range(3))]
    routes = {_DEFAULT: 0}  # destination -> bits that fit, or -1
    for bits in rng.sample((8, 16, 24), k=rng.randint(1, 3)):
        fits = rng.random() < 0.6
        routes[_route(octets if fits else _other(rng, octets, bits), bits)] = bits if fits else -1
    gateways = rng.sample(range(1, 10), k=len(routes))
    listed = rng.sample(list(zip(routes, gateways, strict=True)), k=len(routes))
    table = ", ".join(f"{destination} to gw{gateway}" for destination, gateway in listed)
    _, best = max(listed, key=lambda route: routes[route[0]])
    prompt = f"Next hop of the address {'.'.join(map(str, octets))}: {table}"
    return Sample(prompt, f"gw{best}")


def _check(prompt: str, answer: str) -> bool:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        return False
    try:
        address = IPv4Address(match[1])
        routes = {IPv4Network(to): gateway for to, gateway in _ROUTE.findall(match[2])}
    except ValueError:
        return False
    fitting = sorted(
        (network.prefixlen, routes[network]) for network in routes if address in network
    )
    return bool(fitting) and answer == fitting[-1][1]


FAMILY = (
    Task(
        name="next_hop",
        domain="networking",
        description="The gateway of the longest prefix that holds an address; two to four routes.",
        example="Next hop of the address 10.3.4.5: 0.0.0.0/0 to gw1, 10.3.0.0/16 to gw2",
        generate=_generate,
        check=_check,
    ),
)
