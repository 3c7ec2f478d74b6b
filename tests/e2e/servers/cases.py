"""What is tried with which server. A case makes a day, lives it and judges it; it may return a few words for the log."""
import re
import socket
import ssl
import threading
import time

from day import OTHER, WorldError, wait_for
from fronts import Apache, Caddy, H2o, Haproxy, Nghttpx, Nginx

H1 = {"alpn": "http/1.1"}


def plain(front, *words, lanes="shared", io="epoll", broker=None, **options):
    """The day as it should be: each order once, and as many requests in the server's log, which has the words."""
    def case(make):
        day = make(front, lanes=lanes, io=io, broker=broker, **options).begin()
        day.run()
        day.exact(5)
        seen = {word for _, _, _, rest in day.front.requests() for word in rest}
        if not set(words) <= seen:
            raise WorldError(f"the log has {sorted(seen)[:8]}, {words} wanted")
        day.engine_stops()
    return case


def limited(front, configured, broker=None, **options):
    """A server that ends a connection after a few requests: with its limit in the broker's row none is missed; without
    it none is doubled, and each that did not arrive is reported."""
    def case(make):
        terms = {**(broker or {}), **({"requests_per_connection": 3} if configured else {})}
        day = make(front, followers=4, broker=terms, **options).begin()
        if configured:
            day.run(6)
            # An order that finds its connection just retired goes on the next one: no byte of it had left.
            day.exact(6, outcomes=("ACKED", "NOT_SENT"))
            says = "none missed"
        else:
            for number in range(8):
                day.say(f"Q{number:05}", 10 + number)  # as fast as they come
            day.settle()
            missing = day.honest(8)
            says = f"{len(day.rows())} of 32 arrived, not arrived: {missing or 'none'}"
        day.engine_stops()
        return says
    return case


def reloaded(front, broker=None, **options):
    """The server reloads in mid-wave: its old workers say GOAWAY, or close after the reply."""
    def case(make):
        day = make(front, broker=broker, **options).begin()
        stop = threading.Event()

        def reload():
            for wait in (0.25, 0.3):
                if stop.wait(wait):
                    return
                day.front.reload()
        thread = threading.Thread(target=reload)
        thread.start()
        count = 0
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            day.say(f"R{count:05}", 10 + count % 50)
            count += 1
            time.sleep(0.01)
        stop.set()
        thread.join()
        day.settle()
        missing = day.honest(count)
        time.sleep(1.4)  # Apache ends a fresh h2 connection at its first request: our GET, after a second
        wait_for("connections after the reload", lambda: day.world.metrics().get(
            "lockstep_engine_connections_ready", 0) > 0, 5, 0.05)
        day.world.wait_engine(day.world.processes["engine"], 5)
        before = len(day.rows())
        day.say("LAST", 7, symbol=OTHER)  # an UNKNOWN of before bars entries in its own instrument only
        day.settle()
        if len(day.rows()) != before + day.followers:
            raise WorldError("an order after the reload did not arrive")
        day.engine_stops()
        return f"{count * day.followers} orders, not arrived: {missing or 'none'}"
    return case


def idle(front, broker=None, **options):
    """The server ends connections that are idle for 1.5 s; PING is no traffic to it. The cheap GET keeps them."""
    def case(make):
        day = make(front, followers=3, broker={**(broker or {}), "keepalive_get_ms": 400}, **options).begin()
        day.run(1)
        connects = day.world.metrics()["lockstep_engine_connects_total"]
        time.sleep(2.5)
        after = day.world.metrics()["lockstep_engine_connects_total"]
        day.run(1)
        day.exact(2)
        if after != connects:
            raise WorldError(f"{after - connects:.0f} connections were lost while idle")
        gets = sum(method == "GET" for method, _, _, _ in day.front.requests())
        if gets < 4:
            raise WorldError(f"{gets} GETs in the log")
        day.engine_stops()
        return f"{gets} GETs, no connection lost"
    return case


def idle_end(front, broker=None, **options):
    """The same server without the GETs: it closes, and that costs no order either."""
    def case(make):
        day = make(front, followers=3, broker={**(broker or {}), "keepalive_get_ms": 60000}, **options).begin()
        day.run(1)
        connects = day.world.metrics()["lockstep_engine_connects_total"]
        time.sleep(2.2)
        for _ in range(3):  # an order may meet the end of its connection: fresh ones are there at once
            day.run(1)
            time.sleep(0.4)
        ended = day.world.metrics()["lockstep_engine_connects_total"] - connects
        missing = day.honest(4)
        if missing:
            raise WorldError(f"orders did not arrive: {missing}")
        day.engine_stops()
        return f"{ended:.0f} connections ended and were replaced"
    return case


class Executioner:
    """An HTTP/1.1 server that answers the first request of a connection, reads the second whole, counts it as executed,
    and closes."""

    REPLY = (b'{"status":"Ok","message":"Success","result":[{"requestTime":"26-May-2025 11:42:10",'
             b'"brokerOrderId":"250526000002697"}]}')

    def __init__(self):
        self.tags = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def read(stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = stream.read(1)
            if not byte:
                return None
            head += byte
        length = re.search(rb"content-length: *(\d+)", head, re.I)
        return head, stream.read(int(length.group(1))) if length else b""

    def serve(self, peer):
        with peer, peer.makefile("rb") as stream:
            for number in range(2):
                request = self.read(stream)
                if request is None:
                    return
                found = re.search(rb'"orderTag":"([0-9A-Z]+)"', request[1])
                if found:
                    with self.lock:
                        self.tags.append(found.group(1).decode())
                if number == 0:
                    peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" %
                                 len(self.REPLY) + self.REPLY)

    def close(self):
        self.listener.close()


def refused_stream(make):
    """haproxy says REFUSED_STREAM for an order that was executed (ORDER-SAFETY 3.5): UNKNOWN, never sent again."""
    behind = Executioner()
    try:
        day = make(Haproxy, followers=2, sim=False, backend=f"127.0.0.1:{behind.port}",
                   broker={"pool_connections": 1, "reply_timeout_ms": 2000}).begin()
        for number in range(6):
            day.say(f"X{number:05}", 10)
            day.settle()
        time.sleep(0.3)
        states = {}
        for _, state in day.copies():
            states[state] = states.get(state, 0) + 1
        with behind.lock:
            tags = list(behind.tags)
        if len(tags) != len(set(tags)):
            raise WorldError(f"an order was executed twice: {tags}")
        executed = [state for tag, state in day.copies() if tag in tags]
        doubted = {"UNKNOWN", "RECONCILING"}   # its book is asked, and the server behind has none
        if not doubted & set(executed) or set(executed) - {"ACKED"} - doubted:
            raise WorldError(f"of the executed orders the engine says {executed}")
        refused = len(re.findall(r"h2_error=7", day.world.ctl("journal", "ls", "--type", "reply", check=False).stdout))
        day.engine_stops()
        if refused == 0:
            raise WorldError("haproxy did not say REFUSED_STREAM: the case shows nothing")
        return f"{len(tags)} executed once each, {states}; replies with REFUSED_STREAM: {refused}"
    finally:
        behind.close()


def resumption(make):
    """A server that ends each connection: the later ones resume their sessions, by the server's own log."""
    day = make(Nginx, followers=2, broker={"requests_per_connection": 3, "pool_connections": 1, **H1},
               keepalive_requests=3, http2=False).begin()
    day.run(6)
    day.exact(6, outcomes=("ACKED", "NOT_SENT"))
    orders = [rest for method, _, _, rest in day.front.requests() if method == "POST"]   # books go their own way
    resumed = {rest[1] for rest in orders if rest[4] == "r"}
    everyone = {rest[1] for rest in orders}
    if not resumed or len(resumed) < len(everyone) - 2:
        raise WorldError(f"{len(resumed)} of {len(everyone)} connections were resumed")
    day.engine_stops()
    return f"{len(resumed)} of {len(everyone)} connections resumed"


def expired(make):
    """The certificate expires while connections live: they serve on; new ones fail loudly before a byte of an order; a
    renewed certificate ends it."""
    day = make(Nginx, followers=3).begin()
    day.run(1)
    day.front.use_certificate("expired")
    day.front.reload()
    wait_for("the sentence about the certificate", lambda: re.search(r"certificate of localhost has expired",
                                                                     day.log()), 8)
    places = day.front.count("placeorder")
    for number in range(2):
        day.say(f"E{number:05}", 5)
    wait_for("nobody is connected", lambda: day.world.metrics().get("lockstep_engine_connections_ready", 1) == 0, 8,
             0.05)
    time.sleep(0.2)
    if day.front.count("placeorder") != places + len(day.rows()) - 3:
        raise WorldError("the log and the book differ")
    before = len(day.rows())
    day.say("E00002", 5)
    time.sleep(0.5)
    if len(day.rows()) != before:
        raise WorldError("an order left over a connection with an expired certificate")
    day.front.use_certificate("server")
    day.front.reload()
    day.world.wait_engine(day.world.processes["engine"], 25)
    time.sleep(0.3)
    day.say("E00003", 5)
    wait_for("the order after the renewal", lambda: len(day.rows()) >= before + 3, 5)
    day.settle()  # orders that waited for the renewal may be what was seen
    tags = day.no_doubles()
    strange = [copy for copy in day.copies() if copy[0] not in tags and copy[1] in ("ACKED", "UNKNOWN")]
    if strange:
        raise WorldError(f"not in the book, and not said to be unsent: {strange}")
    day.engine_stops()


def expires_under_us(broker=None):
    """New handshakes meet an expired certificate while our connections live: they serve up to the request limit, the
    successors fail loudly, then nothing leaves and each order is said to be unsent; renewed, orders go again."""
    def case(make):
        day = make(Haproxy, followers=2, broker={**(broker or {}), "requests_per_connection": 8, "pool_connections": 1,
                                                 "keepalive_get_ms": 60000},
                   resumes=False).begin()  # a resumed session was judged when it began
        day.run(1)
        day.front.swap_certificate("expired")
        count = 0
        while not re.search(r"certificate of localhost has expired", day.log()):
            day.say(f"L{count:05}", 5)
            day.settle()
            count += 1
            time.sleep(0.05)
            if count > 40:
                raise WorldError("the successor's failure was not said")
        served = len(day.rows())
        wait_for("the limit of the last connection", lambda: not connected(day, count), 8, 0.05)
        last = len(day.rows())
        day.say("L99998", 5)
        time.sleep(0.5)
        if len(day.rows()) != last or day.front.count("placeorder") != last:
            raise WorldError("an order left without a valid certificate")
        day.front.swap_certificate("server")
        day.world.wait_engine(day.world.processes["engine"], 25)
        day.say("L99999", 5, symbol=OTHER)
        wait_for("the order after the renewal", lambda: len(day.rows()) >= last + 2, 8)
        day.settle()  # orders that waited for the renewal may be what was seen
        tags = day.no_doubles()
        strange = [copy for copy in day.copies() if copy[0] not in tags and copy[1] in ("ACKED", "UNKNOWN")]
        if strange:
            raise WorldError(f"not in the book, and not said to be unsent: {strange}")
        day.engine_stops()
        return f"{served} orders before the sentence, {last} before the end of the last connection"

    def connected(day, count):
        if day.world.metrics().get("lockstep_engine_connections_ready", 0) == 0:
            return False
        day.say(f"M{count + day.waves:05}", 5)
        time.sleep(0.05)
        return True
    return case


CASES = {
    "nginx": (Nginx, [
        ("h2, own lanes, uring, TLS 1.3, P-256", plain(Nginx, "HTTP/2.0", "TLSv1.3", lanes="own", io="uring")),
        ("h2, shared, TLS 1.2, RSA", plain(Nginx, "HTTP/2.0", "TLSv1.2", certificate="server-rsa", tls="TLSv1.2")),
        ("http/1.1, shared", plain(Nginx, "HTTP/1.1", http2=False)),
        ("http/1.1, own lanes, uring, TLS 1.2", plain(Nginx, "HTTP/1.1", "TLSv1.2", lanes="own", io="uring",
                                                      broker=H1, tls="TLSv1.2")),
        ("h2, 3 requests a connection, configured", limited(Nginx, True, keepalive_requests=3)),
        ("http/1.1, 3 requests a connection, configured", limited(Nginx, True, broker=H1, keepalive_requests=3)),
        ("h2, 3 requests a connection, not known", limited(Nginx, False, keepalive_requests=3)),
        ("h2, 3 requests a connection, not known, GOAWAY trusted",
         limited(Nginx, False, broker={"trust_goaway": True}, keepalive_requests=3)),
        ("http/1.1, 3 requests a connection, not known", limited(Nginx, False, broker=H1, keepalive_requests=3)),
        ("h2, reloaded in mid-wave", reloaded(Nginx, io="uring")),
        ("http/1.1, reloaded in mid-wave", reloaded(Nginx, broker=H1)),
        ("http/1.1, sessions are resumed", resumption),
        ("h2, the certificate expires", expired),
    ]),
    "haproxy": (Haproxy, [
        ("h2, shared, uring", plain(Haproxy, "HTTP/2.0", io="uring")),
        ("http/1.1, own lanes", plain(Haproxy, "HTTP/1.1", lanes="own", broker=H1)),
        ("h2, closes idle ones, GETs keep them", idle(Haproxy, client="1500ms", idle="1500ms")),
        ("http/1.1, closes idle ones, GETs keep them", idle(Haproxy, broker=H1, client="1500ms", idle="1500ms")),
        ("h2, closes idle ones, no GETs", idle_end(Haproxy, client="1s", idle="1s")),
        ("http/1.1, closes idle ones, no GETs", idle_end(Haproxy, broker=H1, client="1s", idle="1s")),
        ("REFUSED_STREAM for executed orders", refused_stream),
        ("h2, the certificate expires under us", expires_under_us()),
        ("http/1.1, the certificate expires under us", expires_under_us(H1)),
    ]),
    "apache": (Apache, [
        ("h2, shared", plain(Apache, "HTTP/2.0")),
        ("http/1.1, own lanes, uring", plain(Apache, "HTTP/1.1", lanes="own", io="uring", broker=H1)),
        ("http/1.1, 3 requests a connection, by its word", limited(Apache, False, broker=H1, keepalive_requests=3)),
        ("h2, graceful restart in mid-wave", reloaded(Apache)),
    ]),
    "caddy": (Caddy, [
        ("h2, shared", plain(Caddy, "HTTP/2.0")),
        ("http/1.1, shared, uring", plain(Caddy, "HTTP/1.1", io="uring", broker=H1)),
        ("h2, reloaded in mid-wave", reloaded(Caddy)),
    ]),
    "h2o": (H2o, [
        ("h2, own lanes", plain(H2o, "HTTP/2", lanes="own")),
        ("http/1.1, shared", plain(H2o, "HTTP/1.1", broker=H1)),
    ]),
    "nghttpx": (Nghttpx, [
        ("h2, shared, h2 behind", plain(Nghttpx, "HTTP/2")),
        ("http/1.1, own lanes, http/1.1 behind", plain(Nghttpx, "HTTP/1.1", lanes="own", broker=H1,
                                                       backend="http/1.1")),
        ("h2, small windows, two streams, table of 100", plain(Nghttpx, arguments=[
            "--frontend-http2-window-size=1023", "--frontend-http2-connection-window-size=65535",
            "--frontend-http2-max-concurrent-streams=2", "--frontend-http2-decoder-dynamic-table-size=100"])),
    ]),
}
