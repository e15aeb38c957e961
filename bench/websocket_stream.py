"""The receiving end of a WebSocket (RFC 6455): a plain socket, as in stream.py."""

from __future__ import annotations

import os
from base64 import b64encode

from stream import OPEN_SECONDS, ChangeStream

_TEXT, _PING, _PONG = 1, 9, 10


class WebSocketStream(ChangeStream):
    """Counts the text messages, all of which tell of a change; `hello` is what is sent first,
    and the answer to its first message is not counted."""

    def __init__(self, port: int, path: str, hello: list[bytes] | None = None) -> None:
        super().__init__(port)
        self._data = b""
        self._shake_hands(port, path)
        if hello:
            self._send(hello[0])
            if not self.wait(OPEN_SECONDS):
                raise RuntimeError(f"{path}: no answer to the hello")
            for message in hello[1:]:
                self._send(message)

    def _shake_hands(self, port: int, path: str) -> None:
        key = b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nOrigin: http://127.0.0.1:{port}\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._data:
            self._receive()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"{path}: not the WebSocket that was expected: {head!r}")

    def _send(self, content: bytes, opcode: int = _TEXT) -> None:
        """Section 5.3: what a client sends is masked; the mask of zeros changes nothing."""
        size = len(content)
        length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2, "big")
        self._socket.sendall(bytes([0x80 | opcode]) + length + bytes(4) + content)

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise RuntimeError("the server closed the WebSocket")
        self._data += received

    def _take_change(self) -> bool:
        """Takes frames up to the next of text, and answers pings, without which uvicorn hangs up
        after 40 seconds. No message here is fragmented."""
        while len(self._data) >= 2:
            opcode, size, start = self._data[0] & 0x0F, self._data[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self._data[2:start], "big")
            if len(self._data) < start + size:
                return False
            content = self._data[start : start + size]
            self._data = self._data[start + size :]
            if opcode == _TEXT:
                return True
            if opcode == _PING:
                self._send(content, _PONG)
        return False
