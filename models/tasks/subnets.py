"""IPv4 subnets: where one begins, and whether an address lies in it (RFC 4632, section 3.1)."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from random import Random

from models.tasks.task import Sample, Task

_NETWORK = re.compile(r"Network address of (\d+(?:\.\d+){3})/(\d+)")
_INSIDE = re.compile(r"Is the address (\S+) in the subnet (\S+)\?")

# Where the prefix ends between two octets, copying is enough; elsewhere bits must be cut.
_WHOLE_OCTETS = (8, 16, 24)
_CUT_OCTETS = tuple(bits for bits in range(9, 31) if bits not in _WHOLE_OCTETS)


def _address(rng: Random) -> int:
    return rng.randrange(1 << 24, 224 << 24)  # unicast: the first octet is 1 to 223


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _start(address: int, bits: int) -> int:
    return address >> (32 - bits) << (32 - bits)


def _generate_network(rng: Random, prefixes: tuple[int, ...]) -> Sample:
    address, bits = _address(rng), rng.choice(prefixes)
    return Sample(f"Network address of {_dotted(address)}/{bits}", _dotted(_start(address, bits)))


def _generate_whole(rng: Random) -> Sample:
    return _generate_network(rng, _WHOLE_OCTETS)


def _generate_cut(rng: Random) -> Sample:
    return _generate_network(rng, _CUT_OCTETS)


def _generate_inside(rng: Random) -> Sample:
    """Half lie inside; of the others half miss by one bit of the last octet that counts."""
    bits, subnet = rng.choice(_WHOLE_OCTETS), _address(rng)
    inside = rng.random() < 0.5
    address = _start(subnet, bits) | rng.randrange(1 << (32 - bits))
    if not inside:
        near = rng.random() < 0.5
        address ^= 1 << (32 - bits + (rng.randrange(8) if near else rng.randrange(bits)))
    prompt = f"Is the address {_dotted(address)} in the subnet {_dotted(_start(subnet, bits))}"
    return Sample(f"{prompt}/{bits}?", "yes" if inside else "no")


def _check_network(prompt: str, answer: str, prefixes: tuple[int, ...]) -> bool:
    match = _NETWORK.fullmatch(prompt)
    if match is None or int(match[2]) not in prefixes:
        return False
    try:
        network = IPv4Interface(f"{match[1]}/{match[2]}").network
    except (AddressValueError, NetmaskValueError):
        return False
    return answer == str(network.network_address)


def _check_whole(prompt: str, answer: str) -> bool:
    return _check_network(prompt, answer, _WHOLE_OCTETS)


def _check_cut(prompt: str, answer: str) -> bool:
    return _check_network(prompt, answer, _CUT_OCTETS)


def _check_inside(prompt: str, answer: str) -> bool:
    match = _INSIDE.fullmatch(prompt)
    if match is None:
        return False
    try:
        inside = IPv4Address(match[1]) in IPv4Network(match[2])
    except ValueError:
        return False
    return answer == ("yes" if inside else "no")


FAMILY = (
    Task(
        name="network_address",
        domain="networking",
        description="The network address of an IPv4 address with a prefix of 8, 16 or 24 bits.",
        example="Network address of 10.3.77.5/16",
        generate=_generate_whole,
        check=_check_whole,
    ),
    Task(
        name="network_address_bits",
        domain="networking",
        description="The network address where the prefix cuts through an octet; hard.",
        example="Network address of 10.3.77.5/20",
        generate=_generate_cut,
        check=_check_cut,
    ),
    Task(
        name="address_in_subnet",
        domain="networking",
        description="Whether an IPv4 address lies in a subnet of 8, 16 or 24 bits.",
        example="Is the address 10.3.77.5 in the subnet 10.3.0.0/16?",
        generate=_generate_inside,
        check=_check_inside,
    ),
)
