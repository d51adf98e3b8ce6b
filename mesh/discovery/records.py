"""The DNS records of our services: how they are written, and how they are read back.

The one module that knows python-zeroconf's records. Reading takes the newest record of each kind
from the library's cache, because there an old one and its successor live side by side for a
second (RFC 6762 section 10.2), and believes only what is consistent: the id in the TXT record
must be the one in the instance's name, and the SRV record must point at that machine's host name.
So nobody can speak for another machine under a name of their own.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence

# The library keeps these names here for its users, but leaves them out of ``__all__``.
from zeroconf import (  # type: ignore[attr-defined]
    DNSAddress,
    DNSIncoming,
    DNSPointer,
    DNSQuestion,
    DNSRecord,
    DNSService,
    DNSText,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
    current_time_millis,
)
from zeroconf.asyncio import AsyncServiceInfo

from mesh.discovery.advert import Advert, Properties, decode
from mesh.discovery.question import SERVICE_TYPE

# How long a machine that went without a goodbye is still shown: 20 minutes, above the 1,125 s
# that the library takes for the least; a tenth of a packet per second for 100 machines. All
# records of a service live as long: RFC 6762 section 10 would have addresses end after two
# minutes, but a listener that still knows the name would not be told them again when it asks.
_PRESENCE_S = 1200

# A node listens nowhere. Port 0 can't be dialled; RFC 6763 section 8 uses it for "not here". Its
# addresses are told all the same: RFC 2782 wants the host of an SRV record to have some, people
# recognise a machine by them, and whoever hears the packet knows where it came from anyway.
NODE_PORT = 0

_LABEL = re.compile(r"[0-9a-z-]{1,26}-[nc]")
_TYPE_A, _TYPE_PTR, _TYPE_TXT, _TYPE_AAAA, _TYPE_SRV = 1, 12, 16, 28, 33
_CLASS_IN = 1


def instance_name(label: str) -> str:
    return f"{label}.{SERVICE_TYPE}"


def host_name(label: str) -> str:
    """A host name of our own: the machine's usual one belongs to its own mDNS responder."""
    return f"deskmesh-{label}.local."


def service_info(
    label: str, properties: Properties, *, port: int, addresses: Sequence[str]
) -> AsyncServiceInfo:
    """Return the records of one service, in the form that the library registers."""
    return AsyncServiceInfo(
        SERVICE_TYPE,
        instance_name(label),
        port=port,
        properties=properties,
        server=host_name(label),
        host_ttl=_PRESENCE_S,
        other_ttl=_PRESENCE_S,
        parsed_addresses=list(addresses),
    )


def read(zeroconf: Zeroconf, label: str) -> tuple[Advert, tuple[str, ...]] | None:
    """Return a machine's advert and its hosts; None until all of its records were heard.

    Raises:
        ValueError: the records are malformed or contradict each other.
    """
    texts = _newest(zeroconf, instance_name(label), _TYPE_TXT)
    services = _newest(zeroconf, instance_name(label), _TYPE_SRV)
    hosts = _newest(zeroconf, host_name(label), _TYPE_A, _TYPE_AAAA)
    if not texts or not services or not hosts:
        return None
    text, service = texts[0], services[0]
    assert isinstance(text, DNSText)
    assert isinstance(service, DNSService)
    if service.server.lower() != host_name(label).lower():
        raise ValueError("the SRV record points at another host")
    properties = AsyncServiceInfo(SERVICE_TYPE, instance_name(label), properties=text.text)
    advert = decode(properties.properties, port=service.port or 0)
    if advert.label != label:
        raise ValueError("the TXT record has the id or role of another service")
    return advert, tuple(
        host for record in hosts if isinstance(record, DNSAddress) and (host := _host(record))
    )


class RecordListener(RecordUpdateListener):
    """Tells which of our services a packet, or the running out of records, was about."""

    def __init__(self, heard: Callable[[str], None], gone: Callable[[str], None]) -> None:
        super().__init__()
        self._heard, self._gone = heard, gone
        # Of one packet, which has at most 9,000 bytes; in order of appearance.
        self._heard_labels: dict[str, None] = {}
        self._gone_labels: dict[str, None] = {}

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Called by the library before it changes its cache."""
        for update in records:
            record = update.new
            label = _label_of(record)
            if label is None:
                continue
            if not record.is_expired(now):
                self._heard_labels[label] = None
            elif isinstance(record, DNSPointer):
                self._gone_labels[label] = None

    def async_update_records_complete(self) -> None:
        """Called by the library after it changed its cache."""
        heard, self._heard_labels = self._heard_labels, {}
        gone, self._gone_labels = self._gone_labels, {}
        for label in gone:
            self._gone(label)
        for label in heard:
            if label not in gone:
                self._heard(label)


def listen(zeroconf: Zeroconf, listener: RecordListener) -> None:
    """Tell ``listener`` of the services that are known already, and of every packet to come."""
    zeroconf.async_add_listener(listener, DNSQuestion(SERVICE_TYPE, _TYPE_PTR, _CLASS_IN))


def take_answer(zeroconf: Zeroconf, data: bytes) -> None:
    """Hand a stranger's message to the library, as if it had come by its own sockets."""
    message = DNSIncoming(data, now=current_time_millis())
    if message.valid and message.is_response():
        zeroconf.record_manager.async_updates_from_response(message)


def _label_of(record: DNSRecord) -> str | None:
    """Return the label of the service which ``record`` is about, None if it is not ours."""
    name = record.name
    if isinstance(record, DNSPointer):
        if name.lower() != SERVICE_TYPE:
            return None
        name = record.alias
    if isinstance(record, DNSAddress):
        label = name.removeprefix("deskmesh-").removesuffix(".local.")
    else:
        label = name.removesuffix(f".{SERVICE_TYPE}")
    is_ours = name in (instance_name(label), host_name(label))
    return label if is_ours and _LABEL.fullmatch(label) else None


def _newest(zeroconf: Zeroconf, name: str, *types: int) -> list[DNSRecord]:
    """Return the cached records of a name which the last packet brought, none that ran out."""
    records = [
        record
        for type_ in types
        for record in zeroconf.cache.get_all_by_details(name, type_, _CLASS_IN)
    ]
    newest_ms = max((record.created for record in records), default=0.0)
    now_ms = current_time_millis()
    return [
        record
        for record in records
        if record.created == newest_ms and not record.is_expired(now_ms)
    ]


def _host(record: DNSAddress) -> str:
    """Return an address that can be dialled, with its scope if it needs one; "" if it can't."""
    address = ipaddress.ip_address(record.address)
    if address.is_unspecified or address.is_multicast:
        return ""
    if address.version == 6 and address.is_link_local:
        return f"{address}%{record.scope_id}" if record.scope_id else ""
    return str(address)
