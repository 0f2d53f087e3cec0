"""A proxy before the S3 server of tests that refuses, loses, slows and cuts on purpose.

Which request is hurt, and how, follows from a seed and the request's number in order of arrival.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: What passes; a client with few retries gets through.
KINDS = ("refuse", "lose_answer", "slow_down", "error", "cut", "delay")
_BLOCK = 1 << 16
_IN_A_ROW = 2  # faults of one and the same request, so that a client with few retries gets through
_ANSWERS = {
    "slow_down": (503, "SlowDown", "Please reduce your request rate."),
    "error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "deny": (403, "AccessDenied", "Access Denied"),
    "lack": (501, "NotImplemented", "A header or query you provided is not implemented."),
    "garble": (400, "InvalidArgument", "x-amz-checksum-crc32 is not known here."),
}
#: What stays, of each request that ``only`` picks.
LASTING = ("deny", "lack", "garble")
#: Said of one connection, not of the message (RFC 9110, section 7.6.1), or written by us.
_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass(frozen=True, slots=True)
class Faults:
    """The policy: ``rate`` of the requests that ``only`` picks get one of ``kinds``.

    refuse       closed before the server hears of it
    lose_answer  the server has done it, and the client never hears so
    slow_down    503 SlowDown       error   500 InternalError, both in place of the server
    cut          closed half way through the answer's body, or after the head where it has none
    delay        forwarded 0.2 s late
    deny, lack, garble   403, 501, 400 in place of the server, each time
    """

    rate: float = 0.2
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    only: Callable[[str, str], bool] | None = None
    header: str | None = None  # and only requests that have it

    def __post_init__(self) -> None:
        assert self.kinds, "no kind of fault"
        known = {*KINDS, *LASTING}
        assert set(self.kinds) <= known, f"kinds={self.kinds}, known are {sorted(known)}"

    def choose(
        self, number: int, method: str, path: str, headers: Container[str] = ()
    ) -> str | None:
        """What befalls the request of this number."""
        if self.header is not None and self.header not in headers:
            return None
        chance = random.Random(f"{self.seed} {number}")
        if chance.random() >= self.rate or (self.only and not self.only(method, path)):
            return None
        return chance.choice(self.kinds)


NONE = Faults(rate=0)


@dataclass(slots=True)
class Proxy:
    """A running proxy: what it was asked, in order of arrival, and what it did to whom."""

    endpoint_url: str
    target: tuple[str, int]
    faults: Faults
    requests: list[tuple[str, str]] = field(default_factory=list)
    faulted: Counter[str] = field(default_factory=Counter)
    _in_a_row: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, method: str, path: str, headers: Container[str]) -> str | None:
        """Counts a request and says what is to befall it."""
        request = (method, path)
        with self._lock:
            kind = self.faults.choose(len(self.requests), method, path, headers)
            self.requests.append(request)
            in_a_row = self._in_a_row[request] if kind not in LASTING else 0
            if kind is None or in_a_row == _IN_A_ROW:
                self._in_a_row[request] = 0
                return None
            self._in_a_row[request] += 1
            self.faulted[kind] += 1
            return kind


@contextlib.contextmanager
def running(target_url: str, faults: Faults = NONE) -> Iterator[Proxy]:
    """Starts a proxy on loopback before the server at ``target_url``, and stops it in the end."""
    target = urlsplit(target_url)
    assert target.hostname is not None
    assert target.port is not None
    with _Server(("127.0.0.1", 0), _Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        server.proxy = Proxy(url, (target.hostname, target.port), faults)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()


class _Server(ThreadingHTTPServer):
    proxy: Proxy
    daemon_threads = False  # they are waited for: none talks to a server that is gone
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends the connections that clients keep alive."""
        for connection in [*self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client or server that went away is no news in a test of such things."""
        if not isinstance(sys.exception(), OSError | http.client.HTTPException):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.upstream = http.client.HTTPConnection(*self.server.proxy.target, timeout=60)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def log_message(self, *_: Any) -> None:
        pass

    def handle_expect_100(self) -> bool:
        """Says nothing yet: ``_body`` asks for the body once it is wanted."""
        return True

    def _serve(self) -> None:
        fault = self.server.proxy.admit(self.command, self.path, self.headers)
        if fault == "refuse":
            self.close_connection = True
            return
        if fault in _ANSWERS:
            for _ in self._body():  # what is left unread would be taken for the next request
                pass
            self._answer_fault(*_ANSWERS[fault])
            return
        if fault == "delay":
            time.sleep(0.2)
        answer = self._forward()
        if fault == "lose_answer":
            answer.read()
            self.close_connection = True
        else:
            self._pass_on(answer, is_cut=fault == "cut")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _forward(self) -> http.client.HTTPResponse:
        """The server's answer to this request, whose head has been read but not its body."""
        is_chunked = self._is_chunked()
        # A fresh connection each time: one that the server has let go would look like a fault.
        self.upstream.close()
        # The signature covers Host and Accept-Encoding: they go on as they came, or not at all.
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                self.upstream.putheader(name, value)
        if is_chunked:
            self.upstream.putheader("Transfer-Encoding", "chunked")
        self.upstream.endheaders()
        for block in self._body():
            self.upstream.send(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
        if is_chunked:
            self.upstream.send(b"0\r\n\r\n")
        return self.upstream.getresponse()

    def _pass_on(self, answer: http.client.HTTPResponse, *, is_cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        length = answer.length  # None where the answer is chunked
        is_chunked = has_body and length is None
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if is_cut:
            self.close_connection = True
        self.end_headers()
        left = (length or 0) // 2 if is_cut else None
        while has_body and (left is None or left > 0):
            block = answer.read1(_BLOCK if left is None else min(_BLOCK, left))
            if not block:
                break
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
            left = None if left is None else left - len(block)
        if is_chunked and not is_cut:
            self.wfile.write(b"0\r\n\r\n")

    def _answer_fault(self, status: int, code: str, message: str) -> None:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def _body(self) -> Iterator[bytes]:
        """The request's body, block by block, asked for where the client waits to be."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if not self._is_chunked():
            yield from self._blocks(int(self.headers.get("Content-Length", 0)))
            return
        while count := int(self.rfile.readline().split(b";")[0], 16):
            yield from self._blocks(count)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def _blocks(self, count: int) -> Iterator[bytes]:
        while count > 0:
            block = self.rfile.read(min(count, _BLOCK))
            if not block:
                raise ConnectionResetError("the client went away")
            count -= len(block)
            yield block
