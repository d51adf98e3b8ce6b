"""Carries out what the fleet decided. Nothing here waits: it fills bounded outboxes."""

import logging
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from coordinator.calm import BATCH_TOKENS_MAX, Calm
from coordinator.clients import ClientStream
from coordinator.connections import NodeConnection
from coordinator.deliveries import Delivery
from coordinator.given import GivenAnswers
from coordinator.watching import Watcher
from mesh.core import actions
from mesh.core.actions import Action
from mesh.core.directory import Directory
from mesh.core.receipt import Receipt
from mesh.core.types import AttemptId, Failure, FailureCode, NodeId, Request, RequestKey
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import write_origin, write_restarted
from mesh.wire.commands import write_cancel, write_start, write_welcome
from mesh.wire.receipts import write_failed, write_receipt

log = logging.getLogger(__name__)


class Cloud(Protocol):
    """Calls the upstream. What comes of it is posted as events of the attempt."""

    def start(
        self, action: actions.StartCloudAttempt, request: inference.GenerateRequest
    ) -> None: ...

    def stop(self, attempt_id: AttemptId) -> None:
        """End the call, if it is still open; nothing more is posted about it."""
        ...


PROTOCOL = 1  # the version of Attach and Deliver that this coordinator speaks


@dataclass(slots=True)
class Relay:
    """All open streams of this coordinator, and the effects of actions on them."""

    coordinator_id: str
    beat_every_ms: int
    directory: Directory
    prefix_key: bytes = field(repr=False)  # of this mesh, see ``mesh.core.blocks``
    clients: dict[RequestKey, ClientStream] = field(default_factory=dict)
    connections: dict[int, NodeConnection] = field(default_factory=dict)
    deliveries: dict[AttemptId, Delivery] = field(default_factory=dict)
    open_bytes: int = 0  # of all prompts in ``clients``
    opening: dict[int, Delivery] = field(default_factory=dict)  # not yet accepted
    by_node: dict[NodeId, NodeConnection] = field(default_factory=dict)
    ids: "count[int]" = field(default_factory=lambda: count(1))
    watchers: list[Watcher] = field(default_factory=list)
    cloud: Cloud | None = None  # set where an upstream is configured
    given: GivenAnswers = field(default_factory=GivenAnswers)
    calm: Calm = field(init=False)

    def __post_init__(self) -> None:
        self.calm = Calm(lambda: len(self.deliveries))

    def arrived(self, request: Request) -> None:
        """Tell whoever follows requests of a new one, right before it enters the fleet."""
        for watcher in self.watchers:
            watcher.request_arrived(request)

    def carry_out(self, action: Action) -> None:  # noqa: PLR0912 - one arm for each action
        match action:  # the most frequent first
            case actions.SendDelta():
                if (client := self.clients.get(action.key)) is not None:
                    assert isinstance(action.payload, inference.GenerationDelta)
                    self.given.add(action.key, action.payload)
                    client.send(inference.GenerateEvent(delta=action.payload))
            case actions.StartAttempt():
                self._start(action)
            case actions.AcceptDelivery():
                delivery = self.opening.pop(action.delivery_id)
                delivery.key = action.key
                self.deliveries[action.attempt_id] = delivery
            case actions.SendStarted():
                self._send_started(action)
            case actions.SendRestarted():
                self._send_restarted(action)
            case actions.SendMoved():
                for watcher in self.watchers:
                    watcher.request_moved(action)
            case actions.FinishRequest():
                self._finish(action)
            case actions.FailRequest():
                self._fail(action)
            case actions.CancelAttempt():
                self._cancel(action)
            case actions.StartCloudAttempt():
                self._start_in_cloud(action)
            case actions.StopCloudAttempt():
                if self.cloud is not None:
                    self.cloud.stop(action.attempt_id)
            case actions.EndDelivery():
                self._end_delivery(action.attempt_id)
            case actions.RejectDelivery():
                self.opening.pop(action.delivery_id)
            case actions.AdmitNode():
                self._admit(action)
            case actions.CloseConnection():
                if (connection := self.connections.get(action.connection_id)) is not None:
                    connection.close(action.failure)
            case actions.TellOperator():
                log.warning("%s", action.line)

    def forget_connection(self, connection: NodeConnection) -> None:
        del self.connections[connection.connection_id]
        if self.by_node.get(connection.node_id) is connection:
            del self.by_node[connection.node_id]

    def _admit(self, action: actions.AdmitNode) -> None:
        connection = self.connections[action.connection_id]
        connection.epoch = action.epoch
        self.by_node[action.node_id] = connection
        connection.send(
            write_welcome(
                action,
                coordinator_id=self.coordinator_id,
                protocol=PROTOCOL,
                beat_every_ms=self.beat_every_ms,
            )
        )

    def _start(self, action: actions.StartAttempt) -> None:
        connection = self.connections.get(action.connection_id)
        client = self.clients.get(action.key)
        if connection is None or client is None:
            return  # its end is an event under way
        client.told = request = self.given.continued(action.key, client.request)
        connection.send(
            write_start(
                action,
                request,
                batch_interval_ms=self.calm.batch_interval_ms,
                batch_tokens_max=BATCH_TOKENS_MAX,
                block_hashes=client.features.block_hashes(action.model_id),
            )
        )

    def _ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        for watcher in self.watchers:
            watcher.request_ended(request, receipt, failure)

    def _start_in_cloud(self, action: actions.StartCloudAttempt) -> None:
        client = self.clients.get(action.key)
        if client is None:
            return  # its end is an event under way
        assert self.cloud is not None, "the fleet was offered a cloud model that nobody serves"
        self.cloud.start(action, client.request)

    def _cancel(self, action: actions.CancelAttempt) -> None:
        if action.attempt_id in self.deliveries:
            self._end_delivery(action.attempt_id)
            return
        connection = self.connections.get(action.connection_id)
        if connection is not None:
            connection.send(write_cancel(action))

    def _end_delivery(self, attempt_id: AttemptId) -> None:
        delivery = self.deliveries.pop(attempt_id, None)
        if delivery is not None:
            delivery.finished = True
            delivery.end()

    def _send_started(self, action: actions.SendStarted) -> None:
        client = self.clients.get(action.key)
        if client is None:
            return
        started = inference.GenerationStarted()
        assert isinstance(action.payload, inference.GenerationStarted)
        started.CopyFrom(action.payload)
        write_origin(started, action)
        self.given.begin(action.key, client.request, started)
        for watcher in self.watchers:
            watcher.request_started(action)
        client.send(inference.GenerateEvent(started=started))

    def _send_restarted(self, action: actions.SendRestarted) -> None:
        self.given.forget(action.key)
        if (client := self.clients.get(action.key)) is not None:
            client.send(inference.GenerateEvent(restarted=write_restarted(action)))

    def _finish(self, action: actions.FinishRequest) -> None:
        answered = action.receipt.attempts[-1]
        self.deliveries.pop(answered.attempt_id, None)
        self.given.forget(action.key)
        client = self.clients.get(action.key)
        if client is None:
            return
        finished = inference.GenerationFinished()
        assert isinstance(action.payload, inference.GenerationFinished)
        finished.CopyFrom(action.payload)
        finished.receipt.CopyFrom(write_receipt(action.receipt, self.coordinator_id))
        self._ended(client.features, action.receipt, None)
        client.finish(inference.GenerateEvent(finished=finished))

    def _fail(self, action: actions.FailRequest) -> None:
        # The code alone: a node's words may hold what its model's template said of a prompt.
        log.info("request %s failed: %s", action.key.request_id, action.failure.code)
        if action.failure.code is not FailureCode.REQUEST_EXISTS:  # else it is another's key
            self.given.forget(action.key)
        client = self.clients.get(action.key)
        if client is not None:
            self._ended(client.features, action.receipt, action.failure)
            failed = write_failed(action.failure, action.receipt, self.coordinator_id)
            client.finish(inference.GenerateEvent(failed=failed), action.failure)
