"""A small WebSocket client for tests: wss, text messages, standard library only.

It shares no code with the product's client and follows RFC 6455 as far as the broker's sockets need it.
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time


class Closed(Exception):
    """The server ended the connection; the text says how."""


class Socket:
    def __init__(self, port, path, ca_file, host="localhost", address="127.0.0.1", timeout=5.0):
        context = ssl.create_default_context(cafile=ca_file)
        context.set_alpn_protocols(["http/1.1"])
        self.socket = context.wrap_socket(socket.create_connection((address, port), timeout), server_hostname=host)
        self.bytes = b""
        try:
            self.upgrade(host, path)
        except BaseException:
            self.socket.close()
            raise

    def upgrade(self, host, path):
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.bytes:
            self.more()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        if " 101 " not in lines[0] + " ":
            raise Closed(lines[0])
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        if not any(line.lower() == f"sec-websocket-accept: {accept.decode().lower()}" for line in lines):
            raise Closed("a wrong Sec-WebSocket-Accept")

    def more(self):
        try:
            got = self.socket.recv(65536)
        except ConnectionError as error:
            raise Closed(f"reset: {error}") from error
        except ssl.SSLError as error:
            raise Closed(f"TLS: {error}") from error
        if not got:
            raise Closed("end of the connection" + (" in the middle of a message" if self.bytes else ""))
        self.bytes += got

    def need(self, count):
        while len(self.bytes) < count:
            self.more()
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def frame(self, opcode, payload):
        mask = os.urandom(4)
        length = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | length]) if length < 126 else
                                         bytes([0x80 | 126]) + struct.pack(">H", length))
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def send(self, message):
        self.frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())

    def receive_text(self, timeout=5.0):
        """The next whole text; TimeoutError when none came."""
        end, text = time.monotonic() + timeout, b""
        while True:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            # Nothing is taken off before a frame is complete, so that a timeout loses nothing.
            while True:
                frame = self.complete()
                if frame:
                    break
                self.more()
            first, payload = frame
            opcode = first & 15
            if opcode == 8:
                raise Closed(f"close frame {struct.unpack('>H', payload[:2])[0] if len(payload) >= 2 else ''}")
            if opcode == 9:
                self.frame(10, payload)
            if opcode in (0, 1):
                text += payload
                if first & 0x80:
                    return text.decode()

    def complete(self):
        if len(self.bytes) < 2:
            return None
        length, at = self.bytes[1] & 127, 2
        if length == 126:
            if len(self.bytes) < 4:
                return None
            length, at = struct.unpack(">H", self.bytes[2:4])[0], 4
        elif length == 127:
            if len(self.bytes) < 10:
                return None
            length, at = struct.unpack(">Q", self.bytes[2:10])[0], 10
        if len(self.bytes) < at + length:
            return None
        first, payload = self.bytes[0], self.bytes[at:at + length]
        self.bytes = self.bytes[at + length:]
        return first, payload

    def receive(self, timeout=5.0):
        return json.loads(self.receive_text(timeout))

    def silent(self, seconds):
        """True when nothing comes for so long."""
        try:
            self.receive_text(seconds)
            return False
        except TimeoutError:
            return True

    def close(self):
        self.socket.close()
