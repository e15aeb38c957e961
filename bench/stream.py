"""The receiving end of an event stream: a plain socket, so that the server is what is measured."""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod

OPEN_SECONDS = 10.0


class ChunkedBody:
    """Just enough of RFC 9112, section 7.1, for a body that does not end."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The content of the chunks that are complete now."""
        self._pending += data
        content = bytearray()
        while (line_end := self._pending.find(b"\r\n")) >= 0:
            size = int(self._pending[:line_end].partition(b";")[0], 16)
            start = line_end + 2
            if len(self._pending) < start + size + 2:
                break
            content += self._pending[start : start + size]
            del self._pending[: start + size + 2]
        return bytes(content)


class ChangeStream(ABC):
    """What tells of changes over a plain socket, however it frames them."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), OPEN_SECONDS)

    def close(self) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the last byte of what tells of a change. False: none came in time."""
        deadline = time.monotonic() + seconds
        while not self._take_change():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._socket.settimeout(left)
            try:
                self._receive()
            except TimeoutError:
                return False
        return True

    def drain(self) -> int:
        """Take what has come unasked for, and say of how many changes it tells."""
        self._socket.settimeout(0)
        try:
            while True:
                self._receive()
        except BlockingIOError:
            pass
        count = 0
        while self._take_change():
            count += 1
        return count

    @abstractmethod
    def _receive(self) -> None:
        """Read what there is. RuntimeError: the server has closed."""

    @abstractmethod
    def _take_change(self) -> bool:
        """Take what was read, up to the next that tells of a change."""


class EventStream(ChangeStream):
    """A connection to a Server-Sent Events address. Only events that report changes are counted."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(port)
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Accept: text/event-stream\r\nSec-Fetch-Dest: empty\r\n"
            "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n".encode()
        )
        self._body = ChunkedBody()
        self._text = self._body.feed(self._read_head(path))

    def _read_head(self, path: str) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            received = self._socket.recv(65536)
            if not received:
                raise RuntimeError(f"{path}: closed before the response began")
            data += received
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0] or b"chunked" not in head.lower():
            raise RuntimeError(f"{path}: not the stream that was expected: {head!r}")
        return rest

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise RuntimeError("the server closed the stream")
        self._text += self._body.feed(received)

    def _take_change(self) -> bool:
        while b"\n\n" in self._text:
            event, _, self._text = self._text.partition(b"\n\n")
            lines = event.split(b"\n")
            has_data = any(line.startswith(b"data:") for line in lines)
            if has_data and not any(line.startswith(b"event:") for line in lines):
                return True
        return False
