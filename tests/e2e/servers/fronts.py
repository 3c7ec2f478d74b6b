"""Servers we did not write, as reverse proxies in front of the simulated broker: each writes its own configuration into
the world's directory, listens on a free port of 127.0.0.1, logs one line a request, and is ended by its own handle.

A front's log gives (method, path, status, rest) of each request that it has taken.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from world import Process, WorldError, wait_for  # noqa: E402

MODULES = "/usr/lib/apache2/modules"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Front:
    """One server. Options are the subclass's own; certificate names files of the world's certs."""
    program = package = None

    def __init__(self, world, certificate="server", **options):
        self.world, self.options = world, options
        self.port = free_port()
        self.name = type(self).__name__.lower()
        self.directory = world.path(f"{self.name}-{self.port}")
        os.makedirs(self.directory, mode=0o755)
        for above in (world.directory, self.directory):
            os.chmod(above, 0o755)  # servers that drop root read their own configuration
        self.use_certificate(certificate)
        self.access = os.path.join(self.directory, "access.log")

    @classmethod
    def missing(cls):
        """A sentence when the server is not installed."""
        if shutil.which(cls.program, path=os.environ["PATH"] + ":/usr/sbin"):
            return None
        return f"{cls.program} is missing: apt-get install --no-install-recommends {cls.package}"

    def use_certificate(self, certificate):
        for suffix in ("pem", "key"):
            shutil.copy(self.world.path("certs", f"{certificate}.{suffix}"), self.file(f"front.{suffix}"))
            os.chmod(self.file(f"front.{suffix}"), 0o644)  # a test's key
        with open(self.file("both.pem"), "w") as both:
            for suffix in ("pem", "key"):
                with open(self.file(f"front.{suffix}")) as file:
                    both.write(file.read())

    def file(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.file(name), "w") as file:
            file.write(text)
        return self.file(name)

    def option(self, name, default):
        return self.options.get(name, default)

    def start(self):
        self.process = Process(self.name, self.command(), self.file("output.log"))
        self.world.processes[f"{self.name}-{self.port}"] = self.process

        def listens():
            self.process.check()
            with socket.socket() as probe:
                probe.settimeout(0.5)
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for(f"{self.name}'s start", listens, 15)
        return self

    def reload(self):
        self.process.kill(signal.SIGHUP)

    def stop(self):
        self.world.processes.pop(f"{self.name}-{self.port}", None)
        self.process.stop(3.0)

    def lines(self):
        try:
            with open(self.access, errors="replace") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def requests(self):
        found = []
        for line in self.lines():
            words = line.split()
            if len(words) >= 4:
                found.append((words[0], words[1], words[2], words[3:]))
        return found

    def count(self, what):
        return sum(path.endswith(f"/orders/{what}") for _, path, _, _ in self.requests())


class Nginx(Front):
    program = package = "nginx"

    def command(self):
        limit = self.option("keepalive_requests", None)
        user = "user root;" if os.geteuid() == 0 else ""
        self.configuration = self.write("nginx.conf", f"""
{user} daemon off; worker_processes 1; pid {self.file('pid')}; error_log {self.file('error.log')} warn;
events {{ worker_connections 512; }}
http {{
  log_format f '$request_method $uri $status $server_protocol $connection $connection_requests $ssl_protocol '
               '$ssl_session_reused $ssl_cipher';
  access_log {self.access} f;
  client_body_temp_path {self.file('t1')}; proxy_temp_path {self.file('t2')}; fastcgi_temp_path {self.file('t3')};
  uwsgi_temp_path {self.file('t4')}; scgi_temp_path {self.file('t5')};
  upstream sim {{ server 127.0.0.1:{self.world.sim_port}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{self.port} ssl{' http2' if self.option('http2', True) else ''};
    ssl_certificate {self.file('front.pem')}; ssl_certificate_key {self.file('front.key')};
    ssl_protocols {self.option('tls', 'TLSv1.2 TLSv1.3')}; ssl_session_cache shared:s:1m;
    {f'keepalive_requests {limit};' if limit else ''} keepalive_timeout {self.option('idle', '75s')};
    location / {{
      proxy_pass https://sim; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost;
      proxy_next_upstream off;
    }}
  }}
}}
""")
        return [shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]), "-p", self.directory, "-c",
                self.configuration]


class Haproxy(Front):
    program = package = "haproxy"

    def command(self):
        backend = self.option("backend", f"127.0.0.1:{self.world.sim_port} ssl verify none alpn http/1.1")
        self.access = self.file("output.log")  # its log goes to its output
        self.write("haproxy.cfg", f"""
global
  log stdout format raw daemon info
  stats socket {self.file('admin')} mode 600 level admin
  maxconn 400
  tune.ssl.default-dh-param 2048
  {'' if self.option('resumes', True) else 'tune.ssl.cachesize 0'}
defaults
  mode http
  log global
  log-format "%HM %HP %ST %HV %ts"
  timeout connect 2s
  timeout server 10s
  timeout client {self.option('client', '10s')}
  timeout http-keep-alive {self.option('idle', '10s')}
frontend front
  bind 127.0.0.1:{self.port} ssl crt {self.file('both.pem')} alpn {self.option('alpn', 'h2,http/1.1')} {'' if self.option('resumes', True) else 'no-tls-tickets'}
  default_backend back
backend back
  http-reuse always
  retries 0
  server sim {backend}
""")
        return [shutil.which("haproxy", path="/usr/sbin:" + os.environ["PATH"]), "-db", "-f", self.file("haproxy.cfg")]

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(self.file("admin"))
            admin.sendall(command.encode() + b"\n")
            reply = b""
            while part := admin.recv(4096):
                reply += part
        return reply.decode()

    def swap_certificate(self, certificate):
        """New handshakes get another certificate; connections that are there live on."""
        self.use_certificate(certificate)
        with open(self.file("both.pem")) as file:
            pem = file.read().replace("\n\n", "\n").strip()
        said = self.ask(f"set ssl cert {self.file('both.pem')} <<\n{pem}\n")
        said += self.ask(f"commit ssl cert {self.file('both.pem')}")
        if "Success" not in said:
            raise WorldError(f"haproxy did not take the certificate: {said.strip()}")


class Apache(Front):
    program, package = "apache2", "apache2"

    def command(self):
        protocols = self.option("protocols", "h2 http/1.1")
        names = ["mpm_event", "authz_core", "ssl", "http2", "proxy", "proxy_http"]
        loads = "\n".join(f"LoadModule {n}_module {MODULES}/mod_{n}.so" for n in names
                          if os.path.exists(f"{MODULES}/mod_{n}.so"))
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        self.write("apache.conf", f"""
{loads}
ServerRoot {self.directory}
DefaultRuntimeDir {self.directory}
PidFile {self.file('pid')}
ErrorLog {self.file('error.log')}
LogLevel info
ServerName localhost
{user}
Listen 127.0.0.1:{self.port}
StartServers 1
ThreadsPerChild 25
LogFormat "%m %U %>s %H %k" f
CustomLog {self.access} f
Protocols {protocols}
SSLEngine on
SSLCertificateFile {self.file('front.pem')}
SSLCertificateKeyFile {self.file('front.key')}
SSLProxyEngine on
SSLProxyVerify none
SSLProxyCheckPeerName off
SSLProxyCheckPeerCN off
KeepAlive On
KeepAliveTimeout {self.option('idle', 5)}
MaxKeepAliveRequests {self.option('keepalive_requests', 100)}
ProxyPreserveHost On
ProxyPass / https://127.0.0.1:{self.world.sim_port}/ keepalive=On
""")
        return [shutil.which("apache2", path="/usr/sbin:" + os.environ["PATH"]), "-f", self.file("apache.conf"),
                "-DFOREGROUND"]

    def reload(self):
        self.process.kill(signal.SIGUSR1)  # graceful

    def stop(self):
        self.process.kill(signal.SIGTERM)
        super().stop()


class Caddy(Front):
    program = package = "caddy"

    def command(self):
        self.admin = free_port()
        self.access = self.file("output.log")  # a host with a port has no log file of its own in 2.6
        self.write("Caddyfile", f"""
{{
  auto_https off
  admin 127.0.0.1:{self.admin}
  servers {{
    protocols {self.option('protocols', 'h1 h2')}
  }}
}}
https://localhost:{self.port} {{
  bind 127.0.0.1
  tls {self.file('front.pem')} {self.file('front.key')}
  log
  reverse_proxy https://127.0.0.1:{self.world.sim_port} {{
    transport http {{
      tls_insecure_skip_verify
      versions 1.1
    }}
  }}
}}
""")
        self.env = dict(os.environ, HOME=self.directory, XDG_DATA_HOME=self.directory, XDG_CONFIG_HOME=self.directory)
        return ["env", f"HOME={self.directory}", f"XDG_DATA_HOME={self.directory}", f"XDG_CONFIG_HOME={self.directory}",
                "caddy", "run", "--adapter", "caddyfile", "--config", self.file("Caddyfile")]

    def reload(self):
        subprocess.run(["caddy", "reload", "--force", "--adapter", "caddyfile", "--config", self.file("Caddyfile"),
                        "--address", f"127.0.0.1:{self.admin}"], env=self.env, check=True, capture_output=True,
                       timeout=20)

    def requests(self):
        found = []
        for line in self.lines():
            row = json.loads(line) if line.startswith("{") else {}
            request = row.get("request", {})
            if row.get("logger") == "http.log.access" and "uri" in request:
                found.append((request["method"], request["uri"].split("?")[0], str(row.get("status")),
                              [request.get("proto", "")]))
        return found


class H2o(Front):
    program = package = "h2o"

    def command(self):
        user = "user: root\n" if os.geteuid() == 0 else ""
        self.write("h2o.conf", f"""
{user}num-threads: 1
pid-file: {self.file('pid')}
error-log: {self.file('error.log')}
http1-request-timeout: 5
listen:
  host: 127.0.0.1
  port: {self.port}
  ssl:
    certificate-file: {self.file('front.pem')}
    key-file: {self.file('front.key')}
    minimum-version: TLSv1.2
hosts:
  "localhost:{self.port}":
    paths:
      "/":
        proxy.reverse.url: "https://127.0.0.1:{self.world.sim_port}/"
        proxy.ssl.verify-peer: OFF
        proxy.timeout.keepalive: 2000
    access-log:
      path: {self.access}
      format: "%m %U %s %H"
""")
        return ["h2o", "-m", "worker", "-c", self.file("h2o.conf")]


class Nghttpx(Front):
    program, package = "nghttpx", "nghttp2-proxy"

    def command(self):
        return ["nghttpx", "--conf=/dev/null", "--workers=1", f"--frontend=127.0.0.1,{self.port}",
                f"--backend=127.0.0.1,{self.world.sim_port};;tls;proto={self.option('backend', 'h2')};sni=localhost",
                "--insecure", f"--accesslog-file={self.access}",
                "--accesslog-format=$method $path $status $protocol_version $alpn", f"--errorlog-file={self.file('error.log')}",
                f"--pid-file={self.file('pid')}", *self.option("arguments", []), self.file("front.key"),
                self.file("front.pem")]
