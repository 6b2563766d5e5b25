"""Certificates made on the spot, with the openssl command."""

import subprocess
from pathlib import Path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_pair(folder: Path, name: str, *, password: str = "") -> tuple[str, str]:
    """A self-signed certificate for localhost whose common name is `name`, and its key: two paths."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    protection = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *protection, "-days", "2",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)  # fmt: skip
    return str(certificate), str(key)
