"""A real HTTP server that serves one file, with Range, and misbehaves as it is told."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK_BYTES = 64 << 10


@dataclass
class Behaviour:
    """What the server does. Lists are used up, one entry a request."""

    content: bytes
    etag: str = '"one"'
    statuses: list[int] = field(default_factory=list)  # instead of an answer
    retry_after: str = ""
    cut_after: list[int] = field(default_factory=list)  # body bytes, then hang up
    redirect_to: str = ""
    ignores_range: bool = False
    ignores_if_range: bool = False
    says_bytes: int | None = None  # in place of the true size
    chunked_extra: bytes = b""  # sent beyond what was said
    no_length: bool = False
    silent_s: float = 0.0
    bytes_per_s: int = 0
    encoding: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)  # headers of each request
    sent_bytes: int = 0
    files: dict[str, bytes] = field(default_factory=dict)  # by path; {}: ``content`` everywhere
    asked: list[str] = field(default_factory=list)  # paths
    json_at: dict[str, object] = field(default_factory=dict)  # paths that answer with JSON


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "FileServer"

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def do_GET(self) -> None:
        how = self.server.how
        how.asked.append(self.path.partition("?")[0])
        how.seen.append({key.lower(): value for key, value in self.headers.items()})
        self.close_connection = True
        if how.silent_s:
            time.sleep(how.silent_s)
        if how.statuses and (status := how.statuses.pop(0)) != 200:
            self._empty(status, {"Retry-After": how.retry_after} if how.retry_after else {})
        elif (path := self.path.partition("?")[0]) in how.json_at:
            self._json(how.json_at[path])
        elif how.redirect_to and self.path != "/there":
            self._empty(302, {"Location": how.redirect_to})
        elif how.files and path not in how.files:
            self._empty(404, {})
        else:
            self._serve(how, how.files.get(path, how.content))

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self, how: Behaviour, content: bytes) -> None:
        total = len(content) if how.says_bytes is None else how.says_bytes
        first, last = self._range(how, total)
        if first is not None and first >= total:
            self._empty(416, {"Content-Range": f"bytes */{total}"})
            return
        body = memoryview(content)[first or 0 : last + 1]
        self.send_response(200 if first is None else 206)
        if first is not None:
            self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        if how.etag:
            self.send_header("ETag", how.etag)
        if how.encoding:
            self.send_header("Content-Encoding", how.encoding)
        if how.chunked_extra:
            self.send_header("Transfer-Encoding", "chunked")
        elif not how.no_length:
            self.send_header("Content-Length", str(last + 1 - (first or 0)))
        self.end_headers()
        self._send(how, body)

    def _range(self, how: Behaviour, total: int) -> tuple[int | None, int]:
        """Return the first byte asked for, None for all of them, and the last."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        wants = self.headers.get("If-Range", "")
        changed = bool(wants) and wants != how.etag and not how.ignores_if_range
        if asked is None or how.ignores_range or changed:
            return None, total - 1
        return int(asked[1]), int(asked[2] or total - 1)

    def _send(self, how: Behaviour, body: memoryview) -> None:
        left = how.cut_after.pop(0) if how.cut_after else len(body)
        step = max(1, how.bytes_per_s // 50) if how.bytes_per_s else BLOCK_BYTES
        for at in range(0, min(left, len(body)), step):
            block = bytes(body[at : min(at + step, left)])
            try:
                self._write(how, block)
            except OSError:
                return
            if how.bytes_per_s:
                time.sleep(0.02)
        if how.chunked_extra:
            self._write(how, how.chunked_extra)
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, how: Behaviour, block: bytes) -> None:
        how.sent_bytes += len(block)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if how.chunked_extra else block)


class FileServer(ThreadingHTTPServer):
    """Listens on a free port of loopback."""

    daemon_threads = True

    def __init__(self, how: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.how = how

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tiny.gguf"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of many tests."""


@contextmanager
def serving(how: Behaviour) -> Iterator[FileServer]:
    """Serve while the context is open."""
    server = FileServer(how)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
