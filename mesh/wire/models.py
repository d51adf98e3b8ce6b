"""Models, offers and replicas, both ways."""

import re
from collections.abc import Callable, Iterable, Sequence

from mesh.core.node import Node, Replica
from mesh.core.trial import Standing
from mesh.core.types import CloudModel, Model, ModelId, ModelIdentity, Offer, ReplicaStatus
from mesh.errors import InvalidRequest
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.text import printable

MODELS_MAX = 1024  # of one node: a large collection; bounds what one node makes us index
NAMES_MAX = 16
TASKS_MAX = 32  # as many as the library reads from a model file, and as long
DOMAINS_MAX = 8  # as many as the library reads
NAME_CHARACTERS_MAX = 256
ENGINE_CHARACTERS_MAX = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_offers(offers: Sequence[fleet.ModelOffer]) -> dict[int, Offer]:
    """Return a node's model list by ordinal.

    Raises:
        InvalidRequest: a field is malformed, or the list is too long.
    """
    if len(offers) > MODELS_MAX:
        raise InvalidRequest(f"a node offers {len(offers)} models; at most {MODELS_MAX} may be")
    return {offer.ordinal: _read_offer(offer) for offer in offers}


def write_offer(ordinal: int, offer: Offer) -> fleet.ModelOffer:
    return fleet.ModelOffer(
        ordinal=ordinal,
        model=write_model(offer.model),
        context_tokens=offer.context_tokens,
        capabilities=[enums.write(enums.CAPABILITY, each) for each in sorted(offer.capabilities)],
        engine=offer.engine,
        off_host=offer.off_host,
    )


def write_model(model: Model) -> inference.ModelView:
    """Write what a model is, without its replicas."""
    return inference.ModelView(
        model_id=model.model_id,
        names=model.names,
        sha256=model.identity.sha256,
        template_sha256=model.identity.template_sha256,
        quantisation=model.identity.quantisation,
        architecture=model.architecture,
        parameters=model.parameters,
        size_bytes=model.size_bytes,
        context_tokens=model.context_tokens,
        test=model.test,
        tasks=model.tasks,
        examples=model.examples,
        domains=model.domains,
    )


def write_cloud_model(model: CloudModel) -> inference.ModelView:
    """Write a model that an upstream serves: no weights, no replicas.

    It is shown by the name that says where it runs, and by which it may be asked for.
    """
    return inference.ModelView(
        model_id=model.model_id,
        names=(model.model_id, model.name),
        capabilities=[enums.write(enums.CAPABILITY, each) for each in sorted(model.capabilities)],
        upstream=model.upstream,
    )


def write_replica(node: Node, replica: Replica) -> inference.ReplicaView:
    return _replica(replica.offer, replica.status, node.node_id, node.name)


def write_own_model(
    offer: Offer, status: ReplicaStatus, *, node_id: str, node_name: str
) -> inference.ModelView:
    """Write a model of this very machine with its one replica."""
    view = _write_offered(offer)
    view.replicas.append(_replica(offer, status, node_id, node_name))
    return view


def write_model_of(node: Node, replica: Replica) -> inference.ModelView:
    """Write a model as one node serves it, with that one replica."""
    view = _write_offered(replica.offer)
    view.replicas.append(write_replica(node, replica))
    return view


def write_models(
    nodes: Iterable[Node], standing: Callable[[ModelId], Standing | None] = lambda _: None
) -> list[inference.ModelView]:
    """Write every model that ``nodes`` hold, each once with all its replicas, by name.

    Args:
        standing: says how far one has come that is new to ``auto``.
    """
    views: dict[ModelId, inference.ModelView] = {}
    for node in nodes:
        for model_id, replica in node.replicas.items():
            view = views.setdefault(model_id, write_model(replica.model))
            view.context_tokens = max(view.context_tokens, replica.offer.context_tokens)
            view.replicas.append(write_replica(node, replica))
            for capability in sorted(replica.offer.capabilities):
                wire = enums.write(enums.CAPABILITY, capability)
                if wire not in view.capabilities:
                    view.capabilities.append(wire)
    for model_id, view in views.items():
        view.standing = standing(model_id) or ""
    return sorted(views.values(), key=lambda view: (view.test, view.names[0]))


def _write_offered(offer: Offer) -> inference.ModelView:
    """Write a model with the context and the capabilities that one machine offers it with."""
    view = write_model(offer.model)
    view.context_tokens = offer.context_tokens
    view.capabilities.extend(
        enums.write(enums.CAPABILITY, each) for each in sorted(offer.capabilities)
    )
    return view


def _replica(
    offer: Offer, status: ReplicaStatus, node_id: str, node_name: str
) -> inference.ReplicaView:
    return inference.ReplicaView(
        node_id=node_id,
        node_name=node_name,
        state=enums.write(enums.REPLICA_STATE, status.state),
        slots=status.slots,
        slots_taken=status.slots_taken,
        reason=status.reason,
        load_progress=status.load_progress,
        engine=offer.engine,
    )


def _read_offer(offer: fleet.ModelOffer) -> Offer:
    model = _read_model(offer.model)
    if not offer.context_tokens > 0:
        raise InvalidRequest(f"{model.name} is offered with a context of no tokens")
    known = [enums.CAPABILITY[each] for each in offer.capabilities if each in enums.CAPABILITY]
    return Offer(  # newer capabilities: not for us
        model,
        offer.context_tokens,
        frozenset(known),
        printable(offer.engine, ENGINE_CHARACTERS_MAX),
        offer.off_host,
    )


def _read_model(view: inference.ModelView) -> Model:
    names = tuple(view.names)
    if not 0 < len(names) <= NAMES_MAX or not all(map(_printable, names)):
        raise InvalidRequest("a model must have 1 to 16 printable names of at most 256 characters")
    digests = (view.sha256, view.template_sha256)
    if not _SHA256.fullmatch(view.sha256) or not (
        view.template_sha256 == "" or _SHA256.fullmatch(view.template_sha256)
    ):
        raise InvalidRequest(f"{names[0]} is offered without a valid sha256")
    return Model(
        identity=ModelIdentity(*digests, printable(view.quantisation, 32)),
        names=names,
        architecture=printable(view.architecture, 64),
        parameters=view.parameters,
        size_bytes=view.size_bytes,
        context_tokens=view.context_tokens,
        test=view.test,
        tasks=tuple(printable(task, 64) for task in view.tasks[:TASKS_MAX]),
        examples=tuple(printable(example, 400) for example in view.examples[:TASKS_MAX]),
        domains=tuple(printable(each, 64).lower() for each in view.domains[:DOMAINS_MAX]),
    )


def _printable(name: str) -> bool:
    return 0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()
