"""The gateway's busiest modules as machine code, where somebody has compiled them (`make native`).

The modules of Python are what counts: the compiled ones are made of them, and are used only while each of them is made
of the very source that lies here. Otherwise, and with `DURE_NATIVE=0`, everything runs as it stands. All of them or
none: they call each other without looking each other up.
"""

import hashlib
import json
import logging
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

logger = logging.getLogger(__name__)

PACKAGES = Path(__file__).parents[2]
#: A folder for each version of Python, since what is compiled for one is of no use to another.
FOLDER = Path(__file__).parent / "_native" / str(sys.implementation.cache_tag)
MANIFEST = "manifest.json"


def source_of(module: str) -> Path:
    return PACKAGES.joinpath(*module.split(".")).with_suffix(".py")


def digest_of(module: str) -> str:
    return hashlib.sha256(source_of(module).read_bytes()).hexdigest()


def compiled(folder: Path = FOLDER) -> dict[str, Path]:
    """The files of what is compiled, by module; none where nothing is, or where a source has changed since."""
    try:
        said = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    for module, digest in said["sources"].items():
        if digest_of(module) != digest:
            logger.warning("compiled modules are not used: %s has changed; compile again", module)
            return {}
    return {module: folder / file for module, file in said["files"].items()}


class _Compiled(MetaPathFinder):
    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def prefer() -> None:
    """From now on, import what is compiled."""
    if os.environ.get("DURE_NATIVE") != "0" and (files := compiled()):
        sys.meta_path.insert(0, _Compiled(files))
