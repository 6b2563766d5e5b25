"""A short run of `make chaos`: real processes killed under real traffic, and not a token or micro-won astray."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.xdist_group("chaos")
def test_whatever_dies_every_call_is_accounted_for():
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DURE_", "DJANGO_"))
    }
    ran = subprocess.run(
        [sys.executable, ROOT / "bench" / "chaos.py", "--json", "--seed", "90", "--cycles", "4",
         "--seconds", "1.5", "--clients", "12", "--limit", "20"],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip

    assert ran.stdout, ran.stderr[-4000:]
    summary = json.loads(ran.stdout)
    assert summary["differences"] == [], ran.stderr[-4000:]
    assert ran.returncode == 0
    assert summary["records"]["completed"] > 20
    assert summary["troubles"]
