"""Everything that is checked without running Dure, side by side.

What failed is shown in full; what passed is one line.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS = {
    "types (mypy)": [BIN / "mypy"],
    "import contract (import-linter)": [BIN / "lint-imports"],
    "lint (ruff)": [BIN / "ruff", "check", "--quiet", "."],
    "format (ruff)": [BIN / "ruff", "format", "--check", "--quiet", "."],
    **{
        f"tools/checks/{path.stem}": [sys.executable, path]
        for path in sorted((ROOT / "tools" / "checks").glob("[a-z]*.py"))
    },
}


def check(title: str) -> bool:
    begun = time.monotonic()
    # The settings are read by the types' Django plug-in; no database is touched.
    environment = {
        "DURE_DATABASE_URL": "postgresql:///unused",
        "DURE_SECRET_KEY": "unused",
        **os.environ,
    }
    done = subprocess.run(
        CHECKS[title],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    report = f"{'ok  ' if passed else 'FAIL'} {title:<36} {time.monotonic() - begun:5.1f} s"
    print(report if passed else f"{report}\n{done.stdout.rstrip()}\n", flush=True)
    return passed


def main() -> int:
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        results = list(pool.map(check, CHECKS))
    failed = results.count(False)
    print(f"{failed} of {len(results)} checks failed" if failed else f"all {len(results)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
