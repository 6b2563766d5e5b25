"""Search for inputs that break a property, led by which code they reach (atheris, of libFuzzer's kind).

    make fuzz ARGS="--seconds 60"              every target, a minute each
    python -m tests.fuzz.run requests          one target, until it is stopped

What it finds is written to build/fuzz/; put it under tests/fuzz/found/ (its name begins with its target's) with the repair,
and the tests replay it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build" / "fuzz"
LONGEST_INPUT = 4096


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", nargs="*", help="which; all of them if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; 0: until it is stopped")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        fuzz(options.target[0], options.seconds)
        return
    from tests.fuzz.targets import TARGETS

    failed = []
    for target in options.target or TARGETS:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.run",
            "--within",
            target,
            "--seconds",
            str(options.seconds),
        ]
        # libFuzzer ends its process with the finding, so each target has one of its own.
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        done = [line for line in ended.stderr.splitlines() if line.startswith(("Done", "#"))]
        print(
            f"{target:10} {'ok' if ended.returncode == 0 else 'FOUND SOMETHING'}  {done[-1] if done else ''}",
            flush=True,
        )
        if ended.returncode != 0:
            failed.append(target)
            print("\n".join((ended.stdout + ended.stderr).splitlines()[-40:]), flush=True)
    sys.exit(bool(failed))


def fuzz(target: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["dure.gateway"]):
        from tests.fuzz.targets import TARGETS, seeds

    corpus, begin = BUILD / target, BUILD / f"{target}-seeds"
    for folder in (corpus, begin):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        for lead in (b"\0\0", b"\1\7"):
            leads = b"" if target in {"bodies", "forms"} else lead
            data = seed[:1] + leads + seed[1:] if target == "streams" else leads + seed
            (begin / f"{number}-{lead[1]}").write_bytes(data)
    atheris.Setup(
        [
            sys.argv[0], str(corpus), str(begin), f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}",
            f"-artifact_prefix={BUILD}/{target}-", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
        ],
        TARGETS[target],
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
