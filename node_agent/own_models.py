"""This machine's own models, for its own programs: what its local door serves by itself.

It takes the place of fleet and relay for one request, with one attempt, here. The receipt is made
of the same parts as a coordinator's, and tells how far the prompt has travelled.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import count

from mesh.core.generation import Finished, Generation
from mesh.core.types import (
    AUTO,
    AttemptId,
    ModelId,
    NodeId,
    Offer,
    ReplicaState,
    ReplicaStatus,
    Tier,
)
from mesh.errors import InternalError, MeshError, ModelNotFound, NoCapableNode, Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import error_of
from mesh.wire.embeddings import read_embed
from mesh.wire.generations import read_generation
from mesh.wire.models import write_own_model
from mesh.wire.requests import DEADLINE_DEFAULT_S, read_request
from node_agent.account import Account
from node_agent.answering import embedding, generating, warm_engine, where
from node_agent.line import Line
from node_agent.shelf import Shelf
from node_agent.slot import Slot

PRINCIPAL = "local"  # any program of this machine
_NAME_SHOWN_MAX = 80

log = logging.getLogger("node")


class OwnModels:
    """Answers from the shelf. Its slots are shared with the attempts of the mesh."""

    def __init__(
        self, shelf: Shelf, node_id: NodeId, node_name: str, *, lends: bool = True
    ) -> None:
        """``lends``: False for a machine whose shelf is empty because its owner wants it so."""
        self._lends = lends
        self._shelf = shelf
        self._node_id = node_id
        self._node_name = node_name
        self._line = Line(shelf)
        self._ids = count(1)

    def lacks(self, model: str) -> MeshError | None:
        """Return why nothing here can answer for ``model``; None: something can."""
        if self._offers(model):
            return None
        if not self._lends:
            return NoCapableNode(
                "this machine only uses the mesh and has no model of its own",
                hint="ask where a coordinator is in reach; tier device needs a machine that lends",
            )
        held = self._held()
        if not _is_auto(model):
            names = ", ".join(offer.model.name for offer, _ in held[:5])
            return ModelNotFound(
                f"this machine has no model named {model[:_NAME_SHOWN_MAX]!r} of its own",
                hint=f"it has {names}" if names else "put a GGUF file into its model folder",
            )
        if held:
            return NoCapableNode(f"no model of this machine can run: {held[0][1].reason}")
        return NoCapableNode(
            "this machine has no model", hint="put a GGUF file into its model folder"
        )

    def models(self) -> list[inference.ModelView]:
        """Every model of this machine with its replica, test models last."""
        views = [
            write_own_model(offer, status, node_id=self._node_id, node_name=self._node_name)
            for offer, status in self._held()
        ]
        return sorted(views, key=lambda view: (view.test, view.names[0]))

    async def answer(
        self, request: inference.GenerateRequest, *, why: str, tier: Tier
    ) -> AsyncGenerator[inference.GenerateEvent, None]:
        """See ``mesh.asking.Asking``.

        Args:
            why: why it is answered here, for the receipt.
            tier: how far the prompt has travelled.

        Raises:
            MeshError: as ``Asking.answer``, and as ``lacks`` returns.
        """
        if (lack := self.lacks(request.model)) is not None:
            raise lack
        features = read_request(
            request,
            principal=PRINCIPAL,
            now_s=asyncio.get_running_loop().time(),
            from_coordinator_host=False,
            tier=tier,
        )
        if not request.sampling.HasField("seed"):
            request.sampling.seed = secrets.randbits(63)
        work = read_generation(request)
        writers = [each for each in self._offers(request.model) if not each.embeds]
        if not writers:
            raise Unsupported(
                "the model turns text into vectors, and writes none", hint="ask another model"
            )
        offers = [each for each in writers if features.needs <= each.capabilities]
        if not offers:
            wanted = ", ".join(sorted(features.needs))
            raise Unsupported(f"no model of this machine can do {wanted}")
        by_id = {offer.model.model_id: offer for offer in offers}
        account = Account(features, self._node_id, self._node_name, why=why)
        slot: Slot | None = None
        try:
            slot = await self._line.slot(list(by_id), features.deadline_s)
            account.begin(AttemptId(next(self._ids)), by_id[slot.model_id], tier)
            engine = await warm_engine(slot, features.deadline_s)
            async with aclosing(generating(engine, work, slot, features.deadline_s)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        slot.free()  # before the client hears of the end, and asks again
                    yield account.event(event, work.sampling.seed)
        except MeshError as error:
            last, failure = account.fail(error)
            yield last
            raise error_of(failure) from None
        except Exception as bug:  # of ours, or an engine's: this answer's end, not the agent's
            log.error("an answer of this machine's own failed by a bug: %s", where(bug))
            ours = InternalError("the node failed by a bug", hint="its log says where")
            last, failure = account.fail(ours)
            yield last
            raise error_of(failure) from None
        finally:
            if slot is not None:
                slot.free()

    async def embeddings(
        self, request: inference.EmbedRequest, *, why: str, tier: Tier
    ) -> inference.EmbedResponse:
        """See ``mesh.asking.Asking``, and ``answer``.

        Raises:
            MeshError: why there are no vectors.
        """
        features = read_embed(
            request, principal=PRINCIPAL, now_s=asyncio.get_running_loop().time(), tier=tier
        )
        offers = {each.model.model_id: each for each in self._embedders(request.model)}
        account = Account(features, self._node_id, self._node_name, why=why)
        slot: Slot | None = None
        try:
            slot = await self._line.slot(list(offers), features.deadline_s)
            account.begin(AttemptId(next(self._ids)), offers[slot.model_id], tier)
            engine = await warm_engine(slot, features.deadline_s)
            made = await embedding(engine, request.inputs, slot, features.deadline_s)
            return account.embedded(made)
        except MeshError as error:
            raise error_of(account.fail(error)[1]) from None
        except Exception as bug:  # of ours, or an engine's: this request's end, not the agent's
            log.error("texts were not embedded for a bug: %s", where(bug))
            raise InternalError("the node failed by a bug", hint="its log says where") from None
        finally:
            if slot is not None:
                slot.free()

    async def token_count(
        self, request: inference.CountTokensRequest
    ) -> inference.CountTokensResponse:
        """See ``mesh.asking.Asking``. Takes a slot only where the model must be loaded first.

        Raises:
            MeshError: as ``lacks`` returns, or why nothing could be counted.
        """
        if (lack := self.lacks(request.model)) is not None:
            raise lack
        work = read_generation(
            inference.GenerateRequest(messages=request.messages, tools=request.tools)
        )
        if any(message.images for message in work.messages):
            raise Unsupported("nobody here counts the tokens of images", hint="leave them out")
        offers = self._offers(request.model)
        told: Unsupported | None = None
        for offer in offers:  # of one name, whoever can count does
            try:
                return await self._count(offer.model.model_id, work)
            except Unsupported as failure:
                told = told or failure
        assert told is not None, "there was one at least"
        raise told

    async def _count(self, model_id: ModelId, work: Generation) -> inference.CountTokensResponse:
        slot: Slot | None = None
        try:
            if (engine := self._shelf.warm(model_id)) is None:
                deadline_s = asyncio.get_running_loop().time() + DEADLINE_DEFAULT_S
                slot = await self._line.slot([model_id], deadline_s)
                engine = await warm_engine(slot, deadline_s)
            tokens = await engine.count_tokens(work.messages, work.tools)
        finally:
            if slot is not None:
                slot.free()
        return inference.CountTokensResponse(model_id=model_id, tokens=tokens)

    def _embedders(self, model: str) -> list[Offer]:
        """Raises MeshError: no model of that name embeds, or none at all."""
        if (lack := self.lacks(model)) is not None:
            raise lack
        every = [offer for offer, _ in self._held()]
        found = [offer for offer in every if _is_auto(model) or _is_called(offer, model)]
        if embedders := [offer for offer in found if offer.embeds]:
            return embedders
        known = ", ".join(offer.model.name for offer in every if offer.embeds)
        raise Unsupported(
            "no model of this machine embeds text"
            if _is_auto(model)
            else "the model writes text, and embeds none",
            hint=f"ask {known}" if known else "put an embedding model into its model folder",
        )

    def _held(self) -> list[tuple[Offer, ReplicaStatus]]:
        statuses = dict(self._shelf.statuses())
        # What it asks of an engine on another machine would not stay on this one.
        return [
            (offer, statuses[ordinal])
            for ordinal, offer in self._shelf.offers()
            if not offer.off_host
        ]

    def _offers(self, model: str) -> list[Offer]:
        """What may answer for ``model``, the largest first; for auto, test models if all are.

        Of what has one name, a warm one comes first: the other would take memory beside it, where
        an adopted engine has loaded what the library has on disk as well.
        """
        held = self._held()
        if not _is_auto(model):
            called = [each for each in held if _is_called(each[0], model)]
            called.sort(key=_warm_and_large, reverse=True)
            return [offer for offer, _ in called]
        able = [offer for offer, status in held if status.state is not ReplicaState.FAILED]
        able = [offer for offer in able if not offer.embeds] or able
        found = [offer for offer in able if not offer.model.test] or able
        return sorted(found, key=lambda offer: offer.model.parameters, reverse=True)


def _warm_and_large(held: tuple[Offer, ReplicaStatus]) -> tuple[bool, int]:
    offer, status = held
    return status.state is ReplicaState.WARM, offer.model.parameters


def _is_auto(model: str) -> bool:
    return model in ("", AUTO)


def _is_called(offer: Offer, model: str) -> bool:
    names = {name.lower() for name in offer.model.names}
    return model == offer.model.model_id or model.lower() in names
