"""A TCP relay between the engine and its broker that does harm at an exact byte.

It reads TLS records' headers, nothing else: a long record of the client is an order (a read of a book has no body and is
shorter). What is planned for a source address happens once, to the first order that comes from it.
"""
import asyncio
import contextlib
import socket
import struct
import threading

ORDER_BYTES = 300  # a record of the client that is longer holds an order
DRIP_BYTES, DRIP_S = 8, 0.01  # so many bytes come one by one


class Harm:
    """side: request or reply; kind: reset, close, stall, drip; after: so many bytes of it pass unharmed."""

    def __init__(self, side, kind, after=0):
        self.side, self.kind, self.after = side, kind, after
        self.order_bytes = self.passed = 0
        self.done = False


class Records:
    """Where the records of a stream begin: feed returns the place of the first long record's start, or None."""

    def __init__(self):
        self.left, self.head = 0, b""

    def feed(self, data):
        at, found = 0, None
        while at < len(data):
            if self.left > 0:
                step = min(self.left, len(data) - at)
                self.left -= step
                at += step
                continue
            need = 5 - len(self.head)
            self.head += data[at:at + need]
            begin, at = at, at + need
            if len(self.head) < 5:
                break
            kind, self.left = self.head[0], struct.unpack(">H", self.head[3:5])[0]
            self.head = b""
            if kind == 23 and self.left > ORDER_BYTES and found is None:
                found = max(begin, 0), self.left + 5
        return found


class Proxy:
    """Listens on a free port of 127.0.0.1, or on a socket that is given, from its own thread. `plans` maps a source
    address to a Harm. The broker sees the client's address, except through a socket that is given."""

    def __init__(self, port, listener=None):
        self.listener, self.keeps_source = listener or socket.create_server(("127.0.0.1", 0), backlog=1024), listener is None
        self.port = self.listener.getsockname()[1]
        self.upstream, self.plans, self.orders = port, {}, {}
        self.replies = {}  # of each source: bytes after its order
        self.held = 0  # connections that a stall keeps
        self.black = False  # nothing passes in either direction, no connection ends
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.main, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait(10)

    def main(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, sock=self.listener, limit=1 << 20))
        ready.set()
        self.loop.run_forever()

    def close(self):
        def end():
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.server.close()
            self.loop.call_later(0.05, self.loop.stop)
        self.loop.call_soon_threadsafe(end)
        self.thread.join(5)

    async def serve(self, reader, writer):
        source = writer.get_extra_info("peername")[0]
        try:
            below, above = await asyncio.open_connection(
                "127.0.0.1", self.upstream, local_addr=(source, 0) if self.keeps_source else None, limit=1 << 20)
        except OSError:
            writer.transport.abort()
            return
        link = Link(self, source, writer, above)
        tasks = [asyncio.create_task(link.requests(reader)), asyncio.create_task(link.replies(below))]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self.held -= link.is_held
        for task in tasks:
            task.cancel()
        for one in (writer, above):
            one.close()


class Link:
    """One connection, both directions."""

    def __init__(self, proxy, source, client, broker):
        self.proxy, self.source, self.client, self.broker = proxy, source, client, broker
        self.harm, self.records, self.is_held, self.replied = None, Records(), False, 0

    async def read(self, reader):
        try:
            return await reader.read(65536)
        except ConnectionError:
            return b""

    async def requests(self, reader):
        while True:
            data = await self.read(reader)
            if not data:
                return
            if self.proxy.black or self.is_held:
                continue
            order = self.records.feed(data)
            if order is not None:
                self.proxy.orders[self.source] = max(order[1], self.proxy.orders.get(self.source, 0))
                self.replied = 0
                self.harm = self.proxy.plans.pop(self.source, None)
                if self.harm is not None:
                    self.harm.order_bytes = order[1]
            if self.harm is not None and self.harm.side == "request" and not self.harm.done:
                begin = order[0] if order is not None else 0
                self.broker.write(data[:begin])
                if not await self.hurt(self.broker, data[begin:]):
                    return
            else:
                self.broker.write(data)

    async def replies(self, reader):
        while True:
            data = await self.read(reader)
            if not data:
                return
            if self.proxy.black or self.is_held:
                continue
            self.replied += len(data)
            self.proxy.replies[self.source] = max(self.replied, self.proxy.replies.get(self.source, 0))
            if self.harm is not None and self.harm.side == "reply" and not self.harm.done:
                if not await self.hurt(self.client, data):
                    return
            else:
                self.client.write(data)

    async def hurt(self, to, data):
        """Passes what the plan leaves unharmed, then does it; false when this direction is over."""
        harm = self.harm
        step = min(harm.after - harm.passed, len(data))
        to.write(data[:step])
        harm.passed += step
        if harm.kind == "drip" and step < len(data):
            for at in range(step, min(step + DRIP_BYTES, len(data))):
                with contextlib.suppress(ConnectionError):
                    await to.drain()
                await asyncio.sleep(DRIP_S)
                to.write(data[at:at + 1])
            to.write(data[step + DRIP_BYTES:])
            harm.done = True
            return True
        if harm.passed < harm.after or harm.kind == "drip":
            return True
        harm.done = True
        with contextlib.suppress(ConnectionError):
            await to.drain()
        if harm.kind == "stall":
            self.is_held = True  # reads on and passes nothing, until the engine gives it up
            self.proxy.held += 1
            return True
        if harm.kind == "reset":
            # What was passed is delivered before the end: a moment for the peer to read it.
            await asyncio.sleep(0.02)
            for one in (self.client, self.broker):
                sock = one.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.transport.abort()
        return False
