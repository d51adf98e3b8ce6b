"""IPv4 addresses: private (RFC 1918, section 3) or public."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from random import Random

from models.tasks.task import Sample, Task

_PROMPT = re.compile(r"Is this address private or public: (\S+)")
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))

# Below 127 and from 128 to 191 lie no special ranges but 10, 100.64, 127, 169.254 and 172.16.
_PUBLIC_FIRST = tuple(n for n in range(1, 192) if n not in {10, 100, 127, 169, 172})


def _private_start(rng: Random) -> tuple[int, ...]:
    return rng.choice(((10,), (172, rng.randint(16, 31)), (192, 168)))


def _public_start(rng: Random) -> tuple[int, ...]:
    """Start an address; one in three begins as a private one does, and then leaves it."""
    if rng.random() < 2 / 3:
        return (rng.choice(_PUBLIC_FIRST),)
    return rng.choice(((172, rng.choice((*range(16), *range(32, 256)))), (192, rng.randint(1, 87))))


def _generate(rng: Random) -> Sample:
    answer = rng.choice(("private", "public"))
    start = _private_start(rng) if answer == "private" else _public_start(rng)
    octets = (*start, *(rng.randrange(256) for _ in range(4 - len(start))))
    return Sample(f"Is this address private or public: {'.'.join(map(str, octets))}", answer)


def _check(prompt: str, answer: str) -> bool:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        return False
    try:
        address = IPv4Address(match[1])
    except AddressValueError:
        return False
    return answer == ("private" if any(address in network for network in _PRIVATE) else "public")


FAMILY = (
    Task(
        name="private_address",
        domain="networking",
        description="Whether an IPv4 address is private or public.",
        example="Is this address private or public: 10.3.4.5",
        generate=_generate,
        check=_check,
    ),
)
