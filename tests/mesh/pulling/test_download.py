"""A download against a real server: it resumes, verifies, and survives what servers do."""

import errno
import hashlib
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mesh.errors import Forbidden, InvalidRequest, MeshError, ModelNotFound, NodeLost, ServiceError
from mesh.pulling import exchange, growing, redirects
from mesh.pulling.source import Source
from tests.mesh.pulling.fetching import Fetching
from tests.mesh.pulling.server import Behaviour, FileServer, serving

CONTENT = random.Random(7).randbytes(900_000)
OTHER = random.Random(8).randbytes(900_000)
PART, STATE = ".tiny.gguf.part", ".tiny.gguf.part.json"

Start = Callable[[Behaviour], FileServer]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda how: stack.enter_context(serving(how))


def fetching(server: FileServer, folder: Path) -> Fetching:
    return Fetching(folder, Source(url=server.url, name="tiny", origin=server.url))


def refusal(doing: Fetching) -> MeshError:
    with pytest.raises(MeshError) as refused:
        doing.go()
    assert "\n" not in str(refused.value)
    return refused.value


def test_a_file_comes_whole_and_its_sha256_is_told(start: Start, tmp_path: Path) -> None:
    doing = fetching(start(Behaviour(CONTENT)), tmp_path)
    fetched = doing.go()
    assert fetched.file.read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert doing.watcher.progress[-1] == (len(CONTENT), len(CONTENT))
    assert fetched.file.name.startswith("."), "no library looks at it yet"


def test_what_was_cut_off_goes_on_where_it_stopped(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 200_000])
    fetched = fetching(start(how), tmp_path).go()
    assert fetched.file.read_bytes() == CONTENT
    assert [each.get("range") for each in how.seen] == [None, "bytes=300000-", "bytes=500000-"]
    assert [each.get("if-range") for each in how.seen] == [None, '"one"', '"one"']
    assert how.sent_bytes == len(CONTENT), "no byte came twice"


def test_a_later_process_resumes_with_what_the_disk_still_proves(
    start: Start, tmp_path: Path
) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 0, 0, 0])
    doing = fetching(start(how), tmp_path)
    assert "resume" in refusal(doing).hint
    assert doing.hidden == [PART, STATE]
    how.cut_after.clear()
    fetched = doing.go()
    assert fetched.resumed_bytes == 300_000
    assert fetched.file.read_bytes() == CONTENT


@pytest.mark.parametrize("known", [True, False])
def test_a_byte_flipped_in_the_partial_file_is_noticed(
    start: Start, tmp_path: Path, known: bool
) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 0, 0, 0])
    doing = fetching(start(how), tmp_path)
    doing = doing.knowing(CONTENT) if known else doing
    refusal(doing)
    how.cut_after.clear()
    part = tmp_path / PART
    flipped = bytearray(part.read_bytes())
    flipped[1234] ^= 1
    part.write_bytes(flipped)
    fetched = doing.go()
    assert any("changed on the disk" in line for line in doing.watcher.lines)
    assert fetched.resumed_bytes == 0
    assert fetched.file.read_bytes() == CONTENT


def test_bytes_beyond_what_was_safely_written_are_not_believed(
    start: Start, tmp_path: Path
) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 0, 0, 0])
    doing = fetching(start(how), tmp_path)
    refusal(doing)
    how.cut_after.clear()
    with (tmp_path / PART).open("ab") as file:
        file.write(bytes(1_000_000))  # as a file system leaves it after a power cut
    assert doing.go().file.read_bytes() == CONTENT


def test_a_byte_flipped_on_the_server_is_refused_and_thrown_away(
    start: Start, tmp_path: Path
) -> None:
    wrong = bytearray(CONTENT)
    wrong[500_000] ^= 1
    doing = fetching(start(Behaviour(bytes(wrong))), tmp_path).knowing(CONTENT)
    refused = refusal(doing)
    assert isinstance(refused, InvalidRequest)
    assert "sha256" in refused.message
    assert doing.hidden == []


def test_a_server_that_ignores_range_is_taken_from_the_start(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000], ignores_range=True)
    doing = fetching(start(how), tmp_path)
    assert doing.go().file.read_bytes() == CONTENT
    assert any("beginning anew" in line for line in doing.watcher.lines)


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_another_file_under_the_same_address_is_never_mixed_with_the_first(
    start: Start, tmp_path: Path, ignores_if_range: bool
) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 0, 0, 0], ignores_if_range=ignores_if_range)
    doing = fetching(start(how), tmp_path)
    refusal(doing)
    how.cut_after.clear()
    how.content, how.etag = OTHER, '"two"'
    assert doing.go().file.read_bytes() == OTHER


def test_a_new_etag_costs_nothing_where_the_sha256_is_known(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000, 0, 0, 0])
    doing = fetching(start(how), tmp_path).knowing(CONTENT)
    refusal(doing)
    how.cut_after.clear()
    how.etag = '"of another host of the same hub"'
    assert doing.go().resumed_bytes == 300_000


def test_without_etag_and_sha256_nothing_is_resumed(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, etag="", cut_after=[300_000, 0, 0, 0])
    doing = fetching(start(how), tmp_path)
    refusal(doing)
    how.cut_after.clear()
    assert doing.go().resumed_bytes == 0


def test_a_server_that_lies_about_the_size_is_refused(start: Start, tmp_path: Path) -> None:
    doing = fetching(start(Behaviour(OTHER + b"more")), tmp_path).knowing(CONTENT)
    assert "900,004" in refusal(doing).message
    short = fetching(start(Behaviour(CONTENT, says_bytes=len(CONTENT) + 5)), tmp_path)
    assert "resume" in refusal(short).hint, "it stops before what it said, each time"


def test_more_than_was_said_is_refused(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, cut_after=[300_000])
    doing = fetching(start(how), tmp_path).knowing(CONTENT)
    how.cut_after[:] = [300_000, 0, 0, 0]
    refusal(doing)
    how.cut_after.clear()
    how.chunked_extra = b"and more"
    assert "more than the 900,000 bytes" in refusal(doing).message


def test_without_a_size_nothing_is_fetched(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, no_length=True)
    assert "how big" in refusal(fetching(start(how), tmp_path)).message


def test_a_compressed_answer_is_refused(start: Start, tmp_path: Path) -> None:
    assert (
        "compressed"
        in refusal(fetching(start(Behaviour(CONTENT, encoding="gzip")), tmp_path)).message
    )


def test_a_silent_server_is_given_up_after_bounded_tries(start: Start, tmp_path: Path) -> None:
    how = Behaviour(CONTENT, silent_s=1.0)
    doing = fetching(start(how), tmp_path)
    refused = refusal(doing)
    assert isinstance(refused, NodeLost)
    assert "silent, 3 times in a row" in refused.message
    assert "run the same command again to resume" in refused.hint
    assert len(how.seen) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again_when_it_says(
    start: Start, tmp_path: Path, status: int
) -> None:
    how = Behaviour(CONTENT, statuses=[status, status], retry_after="7")
    doing = fetching(start(how), tmp_path)
    assert doing.go().file.read_bytes() == CONTENT
    assert doing.waits_s == [7.0, 7.0]


def test_a_server_that_wants_an_hour_is_not_waited_for(start: Start, tmp_path: Path) -> None:
    doing = fetching(start(Behaviour(CONTENT, statuses=[429], retry_after="3600")), tmp_path)
    assert "60 min" in refusal(doing).message
    assert doing.waits_s == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Forbidden), (403, Forbidden), (404, ModelNotFound), (418, ServiceError)],
)
def test_what_will_not_get_better_is_asked_once(
    start: Start, tmp_path: Path, status: int, kind: type[MeshError]
) -> None:
    how = Behaviour(CONTENT, statuses=[status])
    assert isinstance(refusal(fetching(start(how), tmp_path)), kind)
    assert len(how.seen) == 1


def test_the_token_goes_to_its_own_host_and_no_further(start: Start, tmp_path: Path) -> None:
    there = start(Behaviour(CONTENT))
    here = start(Behaviour(b"", redirect_to=there.url.replace("tiny.gguf", "there")))
    source = Source(url=here.url, name="tiny", origin=here.url, token="secret")
    fetched = Fetching(tmp_path, source).go()
    assert fetched.file.read_bytes() == CONTENT
    assert here.how.seen[0]["authorization"] == "Bearer secret"
    assert "authorization" not in there.how.seen[0]
    assert "secret" not in repr(source)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://10.0.0.5/x.gguf", "not encrypted"),
        ("https://10.0.0.5/x.gguf", "private network"),
        ("https://169.254.169.254/latest", "private network"),
        ("file:///etc/passwd", "https://"),
        ("https://user:word@example.com/x", "password"),
    ],
)
def test_a_redirect_into_a_private_network_is_not_followed(
    start: Start, tmp_path: Path, to: str, why: str
) -> None:
    doing = fetching(start(Behaviour(CONTENT, redirect_to=to)), tmp_path)
    assert why in refusal(doing).message


def test_a_public_host_leads_neither_here_nor_out_of_encryption(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public = "https://models.example/a.gguf"
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.4", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: inside)
    for to in ("http://cdn.example/a", "http://127.0.0.1/a", "https://router.example/a"):
        with pytest.raises(InvalidRequest):
            redirects.follow(public, public, to)
    outside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: outside)
    assert redirects.follow(public, public, "/b.gguf") == "https://models.example/b.gguf"
    assert redirects.follow(public, public, "https://cdn.example/a") == "https://cdn.example/a"


def test_redirects_in_circles_end(start: Start, tmp_path: Path) -> None:
    server = start(Behaviour(CONTENT))
    server.how.redirect_to = server.url
    assert "redirects more than" in refusal(fetching(server, tmp_path)).message


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENETUNREACH, "this machine is offline"), (errno.ECONNREFUSED, "nobody serves at that")],
)
def test_without_a_network_it_is_said_in_one_line_and_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def no_way(*_: object, **__: object) -> None:
        raise OSError(number, "no way")

    monkeypatch.setattr(socket, "create_connection", no_way)
    url = "http://127.0.0.1:9/tiny.gguf"
    doing = Fetching(tmp_path, Source(url=url, name="tiny", origin=url))
    assert said in refusal(doing).message
    assert len(doing.waits_s) == 1
    assert doing.watcher.lines == []


def test_a_full_disk_is_told_before_a_byte_is_fetched(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "disk_free_bytes", lambda _: 1000)
    how = Behaviour(CONTENT)
    doing = fetching(start(how), tmp_path)
    assert "are free" in refusal(doing).message
    assert not doing.watcher.progress


@pytest.mark.parametrize(("number", "why"), [(errno.ENOSPC, "is full"), (errno.EFBIG, "so large")])
def test_a_disk_that_takes_no_more_keeps_what_it_took(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    how = Behaviour(CONTENT)
    doing = fetching(start(how), tmp_path)
    real = growing.Growing.append

    def append(self: growing.Growing, block: bytes) -> None:
        if self.done_bytes > 300_000:
            raise OSError(number, "no")
        real(self, block)

    with monkeypatch.context() as patched:
        patched.setattr(growing.Growing, "append", append)
        assert why in refusal(doing).message
    assert doing.go().resumed_bytes > 300_000


def test_an_interrupted_download_keeps_its_part(start: Start, tmp_path: Path) -> None:
    doing = fetching(start(Behaviour(CONTENT)), tmp_path)

    def interrupted(done_bytes: int, size_bytes: int) -> None:
        if done_bytes > 200_000:
            raise KeyboardInterrupt

    doing.watcher.progressed = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        doing.go()
    assert doing.hidden == [PART, STATE]
    again = fetching(start(Behaviour(CONTENT)), tmp_path).knowing(CONTENT)
    assert again.go().file.read_bytes() == CONTENT
