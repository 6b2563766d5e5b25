"""The node's wall clock, stepped while it runs: a small library that its processes preload."""

import shutil
import struct
import subprocess
from pathlib import Path


class Clock:
    """`works` is false where there is no C compiler; the clock then stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._file.write_bytes(struct.pack("q", 0))
        library = folder / "clock.so"
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        self.works = bool(compiler) and not subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("clock.c")],
            capture_output=True, check=False,
        ).returncode  # fmt: skip
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)} if self.works else {}

    def step(self, seconds: float) -> bool:
        """From now on the node's clock is that far from the real one."""
        if self.works:
            with self._file.open("r+b") as file:
                file.write(struct.pack("q", int(seconds)))
        return self.works
