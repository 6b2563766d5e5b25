"""How the Python that runs this was built: that decides a fifth of the gateway's own time, so a figure without it says little."""

import os
import platform
import sys
import sysconfig
from pathlib import Path

from dure.gateway import native


def build() -> str:
    """Compiler, optimisation, where the interpreter lies, and whether the gateway's modules are compiled; for a reader."""
    configured = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    said = [
        name
        for option, name in (("--enable-optimizations", "profile-guided"), ("--with-lto", "LTO"))
        if option in configured
    ]
    if not said:
        # Debian's rules profile without the option, and nothing in its configuration tells.
        said = ["the distribution's own options" if sys.base_prefix == "/usr" else "not optimised by profile"]
    shared = "libpython" in Path("/proc/self/maps").read_text()
    where = "in a shared library" if shared else "in the program"
    busiest = "compiled" if "dure.gateway.app.relay" in _native() else "as Python"
    return f"{platform.python_compiler()}, {', '.join(said)}, interpreter {where}; gateway {busiest}"


def _native() -> set[str]:
    """The modules that are used compiled, as `dure.gateway.native.prefer` decides it."""
    return set() if os.environ.get("DURE_NATIVE") == "0" else set(native.compiled())
