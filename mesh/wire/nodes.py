"""What nodes report of themselves, both ways. A node's word is checked: it may be wrong or lie."""

import math
from collections.abc import Iterable, Mapping, Sequence

from mesh.core.node import Node
from mesh.core.trust import doubts
from mesh.core.types import BATCHES, Accelerator, Load, Machine, ModelId, Offer, ReplicaStatus
from mesh.errors import InvalidRequest
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from mesh.wire.models import MODELS_MAX, write_model_of
from mesh.wire.prefixes import read_prefixes, write_prefixes
from mesh.wire.text import printable

SLOTS_MAX = 1024  # of one replica; no engine batches more
RATE_MAX = 1e7  # tokens/s; beyond it the clock was wrong
NAME_CHARACTERS_MAX = 64
ACCELERATORS_MAX = 16  # a server that is sold has 8; who says more is shown so many
GPU_NAME_CHARACTERS_MAX = 80
GPU_KIND_CHARACTERS_MAX = 16


def read_machine(info: fleet.MachineInfo) -> Machine:
    """Raises InvalidRequest if the machine has no printable name."""
    name = info.name[:NAME_CHARACTERS_MAX]
    if not name or not name.isprintable():
        raise InvalidRequest("a node must have a printable name")
    return Machine(
        name=name,
        platform=printable(info.platform, NAME_CHARACTERS_MAX),
        cores=min(info.cores, 4096),
        memory_bytes=info.memory_bytes,
        version=printable(info.version, 32),
        accelerators=tuple(
            Accelerator(
                name=printable(each.name, GPU_NAME_CHARACTERS_MAX),
                kind=printable(each.kind, GPU_KIND_CHARACTERS_MAX),
                memory_bytes=each.memory_bytes,
                idle=each.idle,
            )
            for each in info.accelerators[:ACCELERATORS_MAX]
        ),
    )


def write_machine(machine: Machine) -> fleet.MachineInfo:
    return fleet.MachineInfo(
        name=machine.name,
        platform=machine.platform,
        cores=machine.cores,
        memory_bytes=machine.memory_bytes,
        version=machine.version,
        accelerators=[
            fleet.Accelerator(
                name=each.name, kind=each.kind, memory_bytes=each.memory_bytes, idle=each.idle
            )
            for each in machine.accelerators[:ACCELERATORS_MAX]
        ],
    )


def read_load(report: fleet.NodeReport) -> Load:
    return Load(
        cpu=_share(report.cpu_share),
        memory=_share(report.memory_share),
        memory_free_bytes=report.memory_free_bytes,
        on_battery=report.on_battery,
        battery=_known_share(report.battery_share),
        temperature=_known_share(report.temperature_share),
        owner_busy=report.owner_busy,
        files_unread=report.files_unread,
    )


def read_statuses(
    reports: Sequence[fleet.ReplicaReport], offers: Mapping[int, Offer]
) -> tuple[tuple[ModelId, ReplicaStatus], ...]:
    """Return the changes, by model; reports for unknown ordinals are dropped.

    Raises:
        InvalidRequest: a state is unknown, or there are too many.
    """
    if len(reports) > MODELS_MAX:
        raise InvalidRequest(f"a report tells of {len(reports)} replicas; at most {MODELS_MAX} may")
    newest = {report.ordinal: report for report in reports if report.ordinal in offers}
    return tuple(
        (offers[ordinal].model.model_id, _read_status(report, offers[ordinal]))
        for ordinal, report in newest.items()
    )


def write_status(ordinal: int, status: ReplicaStatus) -> fleet.ReplicaReport:
    return fleet.ReplicaReport(
        ordinal=ordinal,
        state=enums.write(enums.REPLICA_STATE, status.state),
        slots=status.slots,
        slots_taken=status.slots_taken,
        prefill_tokens_per_s=status.prefill_tokens_per_s,
        decode_tokens_per_s=status.decode_tokens_per_s,
        load_s=status.load_s,
        reason=status.reason,
        numerics=status.numerics,
        load_progress=status.load_progress,
        prefixes=write_prefixes(status.prefixes),
        decode_rates_by_batch=status.decode_rates_by_batch,
    )


def write_report(
    *,
    epoch: int,
    sequence: int,
    load: Load,
    statuses: Iterable[tuple[int, ReplicaStatus]],
) -> fleet.NodeReport:
    return fleet.NodeReport(
        epoch=epoch,
        sequence=sequence,
        replicas=[write_status(ordinal, status) for ordinal, status in statuses],
        cpu_share=load.cpu,
        memory_share=load.memory,
        memory_free_bytes=load.memory_free_bytes,
        on_battery=load.on_battery,
        battery_share=load.battery,
        temperature_share=load.temperature,
        owner_busy=load.owner_busy,
        files_unread=load.files_unread,
    )


def write_node(node: Node, now_s: float) -> operations.NodeView:
    """Write a node as operators see it."""
    models = [write_model_of(node, replica) for replica in node.replicas.values()]
    models.sort(key=lambda view: (view.test, view.names[0]))
    return operations.NodeView(
        node_id=node.node_id,
        machine=write_machine(node.machine),
        state=enums.write(enums.NODE_STATE, node.state),
        reason=node.state_reason or doubts(node),
        state_for_s=now_s - node.state_since_s,
        reported_ago_s=now_s - node.reported_s,
        rtt_ms=node.rtt_s * 1000,
        cpu_share=node.load.cpu,
        memory_share=node.load.memory,
        on_battery=node.load.on_battery,
        owner_busy=node.load.owner_busy,
        files_unread=node.load.files_unread,
        attempts_running=len(node.attempts),
        models=models,
        address=node.address,
    )


def _read_status(report: fleet.ReplicaReport, offer: Offer) -> ReplicaStatus:
    return ReplicaStatus(
        state=enums.read(enums.REPLICA_STATE, report.state, "replica.state"),
        slots=min(report.slots, SLOTS_MAX),
        slots_taken=min(report.slots_taken, SLOTS_MAX),
        prefill_tokens_per_s=_rate(report.prefill_tokens_per_s),
        decode_tokens_per_s=_rate(report.decode_tokens_per_s),
        load_s=_rate(report.load_s),
        reason=printable(report.reason, 200),
        numerics=printable(report.numerics, 64),
        load_progress=_share(report.load_progress),
        prefixes=read_prefixes(report.prefixes, tokens_max=offer.context_tokens),
        decode_rates_by_batch=tuple(map(_rate, report.decode_rates_by_batch[: len(BATCHES)])),
    )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 1.0


def _known_share(value: float) -> float:
    """An absurd share counts as not known."""
    return value if 0 <= value <= 1 else 0.0


def _rate(value: float) -> float:
    """An absurd rate counts as not measured."""
    return value if math.isfinite(value) and 0 <= value <= RATE_MAX else 0.0
