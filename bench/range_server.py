"""``python -m bench.range_server BYTES``: serves that many bytes, with Range.

It prints its address and the sha256 of what it serves, and ends when its stdin does. The content is
one random block over and over, so that it takes no memory and no disk.
"""

import hashlib
import random
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK_BYTES = 1 << 20
BLOCK = random.Random(5).randbytes(BLOCK_BYTES)


def digest(size_bytes: int) -> str:
    """Return the sha256 of the first ``size_bytes`` of the content."""
    whole = hashlib.sha256()
    for _ in range(size_bytes // BLOCK_BYTES):
        whole.update(BLOCK)
    whole.update(BLOCK[: size_bytes % BLOCK_BYTES])
    return whole.hexdigest()


def handler_of(size_bytes: int) -> type[BaseHTTPRequestHandler]:
    """Return what answers each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(asked[1]) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{size_bytes - 1}/{size_bytes}")
            self.send_header("Content-Length", str(size_bytes - first))
            self.send_header("ETag", '"bench"')
            self.end_headers()
            while first < size_bytes:
                at = first % BLOCK_BYTES
                block = memoryview(BLOCK)[at : min(BLOCK_BYTES, at + size_bytes - first)]
                self.wfile.write(block)
                first += len(block)

    return Handler


def main() -> None:
    """Serve until stdin ends."""
    size_bytes = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(size_bytes))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/bench.gguf", digest(size_bytes), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
