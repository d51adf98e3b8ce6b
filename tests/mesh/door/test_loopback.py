"""Only programs of this machine, and pages that the door served itself, come through it."""

import pytest

from mesh.door.loopback import why_not
from tests.mesh.door.conftest import ASKED, Served

Headers = list[tuple[bytes, bytes]]


def _headers(**given: str) -> Headers:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]


@pytest.mark.parametrize(
    "given",
    [
        {"host": "localhost:7480"},
        {"host": "LocalHost"},
        {"host": "127.0.0.1:7480"},
        {"host": "[::1]:7480"},
        # The page that the door served itself, by any of its names.
        {"host": "localhost:7480", "origin": "http://localhost:7480"},
        {"host": "localhost:7480", "origin": "http://127.0.0.1:7480"},
        {"host": "localhost", "origin": "http://localhost:80"},
        {"host": "localhost:7480", "sec_fetch_site": "same-origin"},
        {"host": "localhost:7480", "sec_fetch_site": "none"},  # typed into the address bar
    ],
)
def test_this_machine_is_let_in(given: dict[str, str]) -> None:
    assert why_not(_headers(**given)) is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": ""},
        # DNS rebinding: a foreign name that leads to 127.0.0.1, from a page of "the same origin".
        {"host": "evil.example"},
        {"host": "evil.example:7480", "origin": "http://evil.example:7480"},
        {"host": "localhost.evil.example:7480"},
        {"host": "localhost:7480.evil.example"},
        {"host": "localhost@evil.example"},
        {"host": "evil.example#localhost"},
        {"host": "localhost, evil.example"},
        {"host": "localhost\n"},
        {"host": "127.0.0.1.nip.example"},
        {"host": "0.0.0.0:7480"},
        {"host": "192.168.1.7:7480"},
        {"host": "2130706433"},
        {"host": "[::ffff:127.0.0.1]"},
        {"host": "localhost:"},
        {"host": "localhost:7480:7480"},
        # A page of elsewhere.
        {"host": "localhost:7480", "origin": "https://evil.example"},
        {"host": "localhost:7480", "origin": "null"},
        {"host": "localhost:7480", "origin": ""},
        {"host": "localhost:7480", "origin": "file://"},
        {"host": "localhost:7480", "origin": "https://localhost:7480"},
        {"host": "localhost:7480", "origin": "http://localhost:3000"},
        {"host": "localhost:7480", "origin": "http://localhost"},
        {"host": "localhost:7480", "origin": "http://localhost:7480.evil.example"},
        {"host": "localhost:7480", "origin": "http://localhost:7480/"},
        {"host": "localhost:7480", "origin": "chrome-extension://abc"},
        # What sends no Origin: an image, a form or a link of another site.
        {"host": "localhost:7480", "sec_fetch_site": "cross-site"},
        {"host": "localhost:7480", "sec_fetch_site": "Cross-Site"},
    ],
)
def test_everybody_else_is_not(given: dict[str, str]) -> None:
    refused = why_not(_headers(**given))
    assert refused is not None
    assert refused.shown.status == 403
    assert "evil" not in str(refused)


@pytest.mark.parametrize(
    "twice",
    [
        [(b"origin", b"https://evil.example"), (b"origin", b"http://localhost:7480")],
        [(b"origin", b"http://localhost:7480"), (b"origin", b"https://evil.example")],
        [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"none")],
        [(b"host", b"evil.example")],
    ],
)
def test_a_second_header_does_not_hide_the_first(twice: Headers) -> None:
    assert why_not([(b"host", b"localhost:7480"), *twice]) is not None


@pytest.mark.parametrize(
    "foreign",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_a_stranger_is_refused_on_every_path_before_anything_is_read(
    served: Served, foreign: dict[str, str]
) -> None:
    for method, path in (
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("OPTIONS", "/v1/chat/completions"),
        ("GET", "/"),
    ):
        refused = await served.http.request(method, path, content=b"{not read", headers=foreign)
        assert refused.status_code == 403
        assert refused.json()["error"]["type"] == "permission_error"
    assert not served.asking.asked


async def test_no_page_of_elsewhere_may_read_an_answer(served: Served) -> None:
    answered = await served.http.post("/v1/chat/completions", json=ASKED)
    assert not [name for name in answered.headers if name.startswith("access-control")]


async def test_a_simple_form_cannot_ask(served: Served) -> None:
    """What a browser sends across sites without asking first: its types of body are refused."""
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        refused = await served.http.post(
            "/v1/chat/completions", content=b"{}", headers={"content-type": kind}
        )
        assert refused.status_code == 415
