"""HTTP/2 servers that do harm, with real sockets and TLS: one port, one way of being hostile.

They write their frames by hand, because no library would. A request with a body is an order and is noted with its tag
before anything else happens: this is the book that the test reads. When `calm` is set they answer as the broker would.
"""
import contextlib
import re
import socket
import ssl
import struct
import threading
import time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
STATUS_200, STATUS_103, STATUS_503 = b"\x88", b"\x08\x03103", b"\x08\x03503"
FLOOD_S = 6.0  # so long does a flood go on when nobody stops it
RELENT_S = 3.0  # so long is what an order needs withheld


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    names = {"streams": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def literal(name, value):
    """A field that no table keeps."""
    def text(of):
        return (bytes([len(of)]) if len(of) < 127 else b"\x7f" + integer(len(of) - 127)) + of
    return b"\x00" + text(name) + text(value)


def integer(number):
    out = b""
    while number >= 128:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


class Connection:
    """One client. `attack` says what happens to it; runs in a thread of its own."""

    def __init__(self, server, sock):
        self.server, self.sock, self.buffer = server, sock, b""
        self.lock = threading.Lock()

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    def flood(self, *frames):
        """Sends them again and again until the client ends the connection; counts the bytes."""
        data, end, server = b"".join(frames) * max(1, 8192 // sum(map(len, frames))), time.monotonic() + FLOOD_S, self.server
        began, sent = time.monotonic(), 0
        try:
            while time.monotonic() < end and not self.server.calm:
                self.send(data)
                sent += len(data)
            server.floods.append((sent, time.monotonic() - began, False))
        except OSError:
            server.floods.append((sent, time.monotonic() - began, True))
            raise

    def read(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the client left")
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def reply(self, stream, status, body):
        self.send(frame(HEADERS, END_HEADERS, stream, status + literal(b"content-type", b"application/json")) +
                  frame(DATA, END_STREAM, stream, body))

    def accept_order(self, stream):
        number = self.server.next_number()
        self.reply(stream, STATUS_200, b'{"status":"Ok","message":"Success","result":[{"requestTime":'
                   b'"21-Nov-2026 11:42:10","brokerOrderId":"%015d"}]}' % number)

    def serve(self):
        attack = self.server.attack
        if attack == "silent handshake" and not self.server.calm:
            self.server.wait_calm(30)
            return
        if attack == "closes at once" and not self.server.calm:
            return
        self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
        self.read(24)
        if attack == "goaway at once" and not self.server.calm:
            self.send(settings() + frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11)))
            return
        if attack == "garbage greeting" and not self.server.calm:
            self.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return
        self.send(settings())
        bodies = {}
        while True:
            head = self.read(9)
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:9], "big") & 0x7fffffff
            payload = self.read(size)
            if kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.send(frame(PING, ACK, 0, payload))
            elif kind == HEADERS and flags & END_STREAM:
                self.reply(stream, STATUS_503, b'{"status":"Not_ok","message":"down"}')  # a read: no answer
            elif kind == HEADERS:
                bodies[stream] = b""
            elif kind == DATA:
                bodies[stream] = bodies.get(stream, b"") + payload
                if flags & END_STREAM:
                    self.order(stream, bodies.pop(stream))

    def relent(self):
        """What was withheld is given again: what waited for it may be too old by then."""
        self.server.wait_calm(RELENT_S)
        with contextlib.suppress(OSError):
            self.send(settings(window=65535, streams=100))

    def order(self, stream, body):
        found = re.search(rb'"orderTag":"([0-9A-Z]+)"', body)
        tag = found.group(1).decode() if found else ""
        self.server.note(tag)
        if self.server.answer is not None:
            self.server.answer(self, stream, tag)
        elif self.server.calm or not found:
            self.accept_order(stream)
        else:
            self.server.attacked += 1
            self.harm(stream, self.server.attack)

    def harm(self, stream, attack):
        if attack == "CONTINUATION flood":
            self.send(frame(HEADERS, 0, stream, STATUS_200))
            self.flood(frame(CONTINUATION, 0, stream, literal(b"x", b"y")))
        elif attack == "empty CONTINUATION flood":
            self.send(frame(HEADERS, 0, stream, STATUS_200))
            self.flood(frame(CONTINUATION, 0, stream))
        elif attack == "HPACK bomb":
            # One entry of 4,000 bytes, then references to it: a byte on the wire is 4,032 of the list.
            entry = b"\x40\x01x\x7f" + integer(4000 - 127) + b"y" * 4000
            self.send(frame(HEADERS, END_HEADERS, stream, STATUS_200 + entry + b"\xbe" * 12000))
            self.flood(frame(HEADERS, END_HEADERS, stream, b"\xbe" * 16000))
        elif attack == "oversize headers":
            self.send(frame(HEADERS, 0, stream, STATUS_200 + literal(b"x", b"y" * 16000)))
            for _ in range(7):
                self.send(frame(CONTINUATION, 0, stream, literal(b"x", b"y" * 16000)))
            self.flood(frame(CONTINUATION, END_HEADERS, stream))
        elif attack == "SETTINGS flood":
            self.flood(settings(streams=100))
        elif attack == "PING flood":
            self.flood(frame(PING, 0, 0, b"12345678"))
        elif attack == "endless body":
            self.send(frame(HEADERS, END_HEADERS, stream, STATUS_200))
            self.flood(frame(DATA, 0, stream, b'{"status":"Ok",' + b" " * 16000))
        elif attack == "empty DATA flood":
            self.send(frame(HEADERS, END_HEADERS, stream, STATUS_200))
            self.flood(frame(DATA, 0, stream))
        elif attack == "PUSH_PROMISE":
            self.flood(frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", 2) + b"\x82\x84\x87"))
        elif attack == "1xx flood":
            self.flood(frame(HEADERS, END_HEADERS, stream, STATUS_103))
        elif attack == "WINDOW_UPDATE flood":
            self.flood(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)))
        elif attack == "unknown frames":
            self.flood(frame(0x42, 0xff, 0, b"?" * 16))
        elif attack == "garbage":
            self.flood(b"\xff" * 4096)
        elif attack == "RST_STREAM of nobody":
            self.flood(frame(RST_STREAM, 0, 4001, struct.pack(">I", 8)))
        elif attack == "drip":
            data = frame(HEADERS, END_HEADERS, stream, STATUS_200) + frame(DATA, END_STREAM, stream, b"{}")
            for at in range(len(data)):  # a byte each quarter of a second: longer than the deadline
                self.send(data[at:at + 1])
                if self.server.wait_calm(0.25):
                    break
        elif attack in ("no window", "no streams"):
            self.send(settings(window=0) if attack == "no window" else settings(streams=0))
            self.accept_order(stream)
            threading.Thread(target=self.relent, daemon=True).start()
        elif attack == "GOAWAY, calm down":
            self.send(frame(GOAWAY, 0, 0, struct.pack(">II", stream - 2 if stream > 2 else 0, 11)))
            raise ConnectionError("as announced")
        elif attack in AT_GREETING:
            raise ConnectionError("the next connections are worse")
        elif attack == "streams down and up":
            for value in (0, 100, 0, 1, 0, 100):
                self.send(settings(streams=value))
            self.accept_order(stream)
        else:
            raise AssertionError(attack)

    def run(self):
        try:
            self.serve()
        except OSError:
            pass  # the end of a connection, also TLS's
        finally:
            with contextlib.suppress(OSError):
                self.sock.close()


AT_GREETING = ["goaway at once", "garbage greeting", "closes at once", "silent handshake"]
ATTACKS = ["CONTINUATION flood", "empty CONTINUATION flood", "HPACK bomb", "oversize headers", "SETTINGS flood", "PING flood",
           "endless body", "empty DATA flood", "PUSH_PROMISE", "1xx flood", "WINDOW_UPDATE flood", "unknown frames",
           "garbage", "RST_STREAM of nobody", "drip", "no window", "no streams", "streams down and up",
           "GOAWAY, calm down", *AT_GREETING]
# After these the client must have ended the connection; the others are legal, or end by themselves.
FATAL = ATTACKS[:14]


class Server:
    """One attack on a free port of 127.0.0.1. answer(connection, stream, tag) replies to orders instead, when given."""

    def __init__(self, attack, certificate, key, answer=None):
        self.answer = answer
        self.attack, self.calm_event, self.lock = attack, threading.Event(), threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["h2"])
        self.tags, self.times, self.floods, self.accepts, self.number, self.attacked = [], {}, [], [], 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def calm(self):
        return self.calm_event.is_set()

    def wait_calm(self, seconds):
        return self.calm_event.wait(seconds)

    def next_number(self):
        with self.lock:
            self.number += 1
            return self.port * 10**6 + self.number

    def note(self, tag):
        with self.lock:
            self.tags.append(tag)
            self.times[tag] = time.monotonic()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            peer.settimeout(30)
            self.accepts.append(time.monotonic())
            threading.Thread(target=Connection(self, peer).run, daemon=True).start()

    def close(self):
        self.calm_event.set()
        self.listener.close()
