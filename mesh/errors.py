"""Every error deskmesh raises on purpose, as one small tree.

The tree is drawn by what the caller can do, and each class says whose fault it is::

    MeshError
    ├── RequestError        the caller must change the request
    │   ├── InvalidRequest      a field is missing, malformed or out of range
    │   ├── ModelNotFound       no machine has a model of that name
    │   ├── ContextOverflow     the prompt is longer than the model's context
    │   ├── Unsupported         nothing here can do what was asked for
    │   ├── ContentRefused      an upstream's content policy is against it
    │   ├── RequestExists       that request id was used before
    │   ├── NotAuthenticated    who are you?
    │   └── Forbidden           we know who you are, and you may not
    ├── NodeError           a machine failed; the same request may succeed elsewhere
    │   ├── NodeLost            the machine or its coordinator is out of reach
    │   └── AnswerLost          it failed after the first token: the rest of the answer is gone
    └── ServiceError        the mesh could not, now
        ├── NoCapableNode       machines are there, but each has a reason why not
        ├── Overloaded          everything is busy and the queue is full
        ├── DeadlineExceeded    the caller's time ran out
        ├── Cancelled           the caller, or an operator, ended it
        ├── Superseded          a newer attempt or connection took its place
        └── InternalError       a bug of ours

Nothing here knows gRPC: ``mesh.rpc`` translates both ways.
"""

import re
from typing import ClassVar

ERROR_MESSAGE_CHARACTERS_MAX = 500  # gRPC details and logs stay one readable line


class MeshError(Exception):
    """Base of every error this project raises on purpose.

    ``message`` says what happened and why; ``hint`` says what to do about it. Neither may hold a
    prompt, an answer or a secret: both are shown and logged.
    """

    retryable: ClassVar[bool] = False  # may the same request succeed elsewhere, or later?

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    @property
    def code(self) -> str:
        """The error's stable name on the wire, such as ``"no_capable_node"``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class RequestError(MeshError):
    """The caller must change the request; sending it again unchanged fails again."""


class InvalidRequest(RequestError):
    """A field is missing, malformed or out of range."""


class ModelNotFound(RequestError):
    """No machine of the mesh has a model of that name."""


class ContextOverflow(RequestError):
    """The prompt does not fit the model's context."""


class Unsupported(RequestError):
    """Nothing in this version or mesh can do what was asked for."""


class ContentRefused(RequestError):
    """An upstream's content policy is against the request, so no other one is asked either."""


class RequestExists(RequestError):
    """The request id was already used by the same principal."""


class NotAuthenticated(RequestError):
    """The caller showed no valid identity."""


class Forbidden(RequestError):
    """The caller is known and may not do this."""


class NodeError(MeshError):
    """A machine failed; the same request may succeed on another one."""

    retryable = True


class NodeLost(NodeError):
    """A machine, or the coordinator, is out of reach."""


class AnswerLost(NodeError):
    """The machine failed after the client had seen a part of the answer."""


class ServiceError(MeshError):
    """The mesh could not do it now."""


class NoCapableNode(ServiceError):
    """Machines are there, but each has a reason why it cannot serve this request."""


class Overloaded(ServiceError):
    """Every capable machine is busy and the queue is full."""

    retryable = True


class DeadlineExceeded(ServiceError):
    """The time that the caller gave ran out."""


class Cancelled(ServiceError):
    """The caller or an operator ended the request."""


class Superseded(ServiceError):
    """A newer attempt, epoch or connection took the place of this one."""


class InternalError(ServiceError):
    """A bug of ours; the log of the process that raised it says more."""
