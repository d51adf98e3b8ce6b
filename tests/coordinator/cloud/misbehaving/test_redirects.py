"""A redirect is followed to nowhere: it would carry key and prompt to a place nobody configured."""

import asyncio

import pytest

from mesh.core.types import FailureCode
from tests.coordinator.cloud.asking import Fleet
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    fleet: Fleet, upstream: PlayedUpstream, status: int
) -> None:
    elsewhere = PlayedUpstream()
    await elsewhere.start()

    async def points(asked: Asked) -> None:
        await asked.refuse(status, more=f"location: {elsewhere.base_url}/chat/completions\r\n")

    upstream.behave = points
    failure = await fleet.failure()
    assert failure.code is FailureCode.NODE_LOST
    assert failure.message == (
        f"the upstream points elsewhere, where the key is not taken ({status})"
    )
    assert "base_url" in failure.hint
    assert (len(upstream.asked), elsewhere.connections) == (1, 0)
    assert fleet.spent_microusd == 0
    await elsewhere.stop()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/v1/chat/completions",
        "http://192.168.1.1/",
        "https://[fd00::1]/",
        "//127.0.0.1:1/",
        "/elsewhere/on/the/same/host",
        "file:///etc/passwd",
        "http://127.0.0.1:{port}/other",
    ],
)
async def test_a_redirect_to_a_private_address_opens_no_connection(
    fleet: Fleet,
    upstream: PlayedUpstream,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    location: str,
) -> None:
    """Counted at the very call that opens one, so no address has to be reachable here."""
    opened: list[tuple[str, int]] = []
    loop = asyncio.get_running_loop()
    create_connection = loop.create_connection

    async def counted(protocol: object, host: str, port: int, **more: object) -> object:
        opened.append((host, port))
        return await create_connection(protocol, host, port, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(loop, "create_connection", counted)
    target = location.format(port=upstream.port)

    async def points(asked: Asked) -> None:
        await asked.refuse(status, more=f"location: {target}\r\n")

    upstream.behave = points
    failure = await fleet.failure()
    assert failure.message.startswith("the upstream points elsewhere")
    assert failure.code.elsewhere, "another rung may be asked"
    assert len(upstream.asked) == 1
    assert opened == [("127.0.0.1", upstream.port)], "the one that was asked"
    assert fleet.spent_microusd == 0
