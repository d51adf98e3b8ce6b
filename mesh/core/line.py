"""The line of requests that wait for a slot, in order of arrival."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mesh.core.types import Policy, Request, RequestKey, no_hashes

_ANYONE = RequestKey("", "")


@dataclass(slots=True)
class Line:
    """Kept apart by kind, so that a freed slot looks only at those it can serve.

    A kind is a request without what makes no difference to which replicas may serve it.
    """

    _by_kind: dict[Request, dict[RequestKey, int]] = field(default_factory=dict)  # -> number
    _kinds: dict[RequestKey, Request] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._kinds)

    def __contains__(self, key: object) -> bool:
        return key in self._kinds

    def join(self, request: Request, number: int) -> None:
        """Enter the line at the place of the ``number``-th request to arrive."""
        key, kind = request.key, kind_of(request)
        assert key not in self._kinds, f"{key} waits already"
        self._kinds[key] = kind
        self._by_kind.setdefault(kind, {})[key] = number

    def leave(self, key: RequestKey) -> None:
        kind = self._kinds.pop(key, None)
        if kind is None:
            return
        group = self._by_kind[kind]
        del group[key]
        if not group:
            del self._by_kind[kind]

    def kinds(self) -> Iterable[Request]:
        """What is waited for."""
        return self._by_kind.keys()

    def all(self) -> list[RequestKey]:
        return list(self._kinds)

    def waiting_for(self, kinds: Iterable[Request]) -> list[RequestKey]:
        """Return those of these ``kinds``, in order of arrival."""
        numbered = [entry for kind in kinds for entry in self._by_kind[kind].items()]
        numbered.sort(key=lambda entry: entry[1])
        return [key for key, _ in numbered]


def kind_of(request: Request) -> Request:
    """Return what ``request`` has in common with others that the same replicas may serve.

    The prompt's length is left out: it matters, but every one has its own.
    """
    return replace(
        request,
        key=_ANYONE,
        policy=Policy.BALANCED,
        prompt_bytes=0,
        max_tokens=0,
        deadline_s=0.0,
        session="",
        explain=False,
        resumed_tokens=0,
        block_hashes=no_hashes,
    )
