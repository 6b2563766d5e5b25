"""Compile the gateway's busiest modules with mypyc, into `src/dure/gateway/_native/`: `make native`.

Needs a C compiler, and setuptools, which the dependency group `native` brings. It takes about a minute, and nothing has to
be compiled: without it, and after any change of these modules, the gateway runs the same modules as Python. `CC` may name
a compiler, for instance `CC="python -m ziglang cc"` for the one in the package ziglang.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
os.environ["DURE_NATIVE"] = "0"

from dure.gateway import native  # noqa: E402

#: What a call of a model passes through, without what msgspec makes of classes, which mypyc does not know, and without
#: coroutines, in which it loses exceptions (an `async with` within a `try`).
MODULES = (
    "dure.contracts.money",
    "dure.gateway.protocol.admission",
    "dure.gateway.protocol.calls",
    "dure.gateway.protocol.dialects",
    "dure.gateway.protocol.endpoints.base",
    "dure.gateway.protocol.endpoints.chat",
    "dure.gateway.protocol.endpoints.completions",
    "dure.gateway.protocol.endpoints.generating",
    "dure.gateway.protocol.escrow",
    "dure.gateway.protocol.frames",
    "dure.gateway.protocol.http1",
    "dure.gateway.protocol.http_answer",
    "dure.gateway.protocol.http_reading",
    "dure.gateway.protocol.http_request",
    "dure.gateway.protocol.limits",
    "dure.gateway.protocol.metering",
    "dure.gateway.protocol.openai",
    "dure.gateway.protocol.routing",
    "dure.gateway.protocol.sse",
    "dure.gateway.io.clients",
    "dure.gateway.io.journal",
    "dure.gateway.io.upstream",
    "dure.gateway.app.admission",
    "dure.gateway.app.attempts",
    "dure.gateway.app.charge",
    "dure.gateway.app.escrow_keeper",
    "dure.gateway.app.gateway",
    "dure.gateway.app.health",
    "dure.gateway.app.limits",
    "dure.gateway.app.metrics",
    "dure.gateway.app.offers",
    "dure.gateway.app.permit",
    "dure.gateway.app.relay",
    "dure.gateway.app.service",
    "dure.gateway.app.streaming",
)
_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

options = ["--strict", "--no-warn-unused-ignores", "--ignore-missing-imports", "--follow-imports=silent"]
made = mypycify([*options, "--implicit-reexport", *sys.argv[2:]], opt_level="3")
setup(name="gateway", packages=[], ext_modules=made, script_args=["-q", "build_ext", "--build-lib", sys.argv[1]])
"""


def main() -> int:
    if shutil.which(shlex.split(os.environ.get("CC", "cc"))[0]) is None:
        print("no C compiler was found: install one, or name one in CC. The gateway runs without.")
        return 1
    with tempfile.TemporaryDirectory(prefix="dure-native-") as name:
        work = Path(name)
        shutil.copytree(
            ROOT / "src" / "dure", work / "dure", ignore=shutil.ignore_patterns("_native", "*.so")
        )
        sources = {module: native.digest_of(module) for module in MODULES}
        files = [str(native.source_of(module).relative_to(ROOT / "src")) for module in MODULES]
        (work / "setup.py").write_text(_SETUP)
        done = subprocess.run(
            [sys.executable, "setup.py", "made", *files],
            cwd=work,
            env={**os.environ, "PYTHONPATH": str(work), "MYPYPATH": str(work)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout[-6000:])
            return done.returncode
        install(work / "made", sources)
    print(f"{len(MODULES)} modules compiled into {native.FOLDER.relative_to(ROOT)}")
    return 0


def install(made: Path, sources: dict[str, str]) -> None:
    """Put what was made in place of what was there, in one step for those who are just starting."""
    native.FOLDER.parent.mkdir(exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=native.FOLDER.parent))
    files = {}
    for path in made.rglob("*.so"):
        module = ".".join([*path.relative_to(made).parent.parts, path.name.partition(".")[0]])
        files[module] = f"{module}{path.name[path.name.index('.') :]}"
        shutil.copyfile(path, fresh / files[module])
    (fresh / native.MANIFEST).write_text(json.dumps({"sources": sources, "files": files}, indent=1))
    shutil.rmtree(native.FOLDER, ignore_errors=True)
    fresh.chmod(0o755)
    fresh.rename(native.FOLDER)


if __name__ == "__main__":
    sys.exit(main())
