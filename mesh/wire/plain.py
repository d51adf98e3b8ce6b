"""Messages as plain data, for ``--json``: every key always there, numbers as numbers."""

from typing import Any

from google.protobuf.message import Message


def to_plain(message: Message) -> dict[str, Any]:
    """Return ``message`` as JSON-able data.

    protobuf's own JSON writes 64-bit integers as strings, enumerations with their prefix, and
    leaves out what is zero; whoever reads our output with `jq` wants none of that.
    """
    return {
        field.name: _field(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if field.message_type is None or field.is_repeated or message.HasField(field.name)
    }


# `field` is a FieldDescriptor; protobuf's stubs disagree among themselves about its class.
def _field(field: Any, value: Any) -> Any:
    if not field.is_repeated:
        return _value(field, value)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        values = field.message_type.fields_by_name["value"]
        return {str(key): _value(values, value[key]) for key in value}
    return [_value(field, each) for each in value]


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_plain(value)
    if field.enum_type is not None:
        return _enum_name(field, value)
    return value.hex() if isinstance(value, bytes) else value


def _enum_name(field: Any, value: int) -> str:
    """``REPLICA_STATE_WARM`` of ``ReplicaState`` is ``warm``."""
    names = {each.number: each.name for each in field.enum_type.values}
    prefix = names[0].removesuffix("UNSPECIFIED")
    return str(names.get(value, value)).removeprefix(prefix).lower()
