"""`python -m dure.control.config.build_assets`: what browsers fetch, made once at set-up.

From the installed front-end packages and our own sources to files whose names carry the hash of their
content, with a compressed copy beside each and a manifest that Django reads. It needs neither a database
nor a bundler, and the same input gives the same bytes. The manifest is written last, so a portal that runs
meanwhile keeps serving what it knows.
"""

import gzip
import hashlib
import json
import os
import re
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

from dure.control.config import css_pruning

REPOSITORY = Path(__file__).resolve().parents[4]
CONTROL = Path(__file__).resolve().parents[1]
SOURCES = CONTROL / "portal" / "assets"
NODE_MODULES = REPOSITORY / "node_modules"
KRDS = NODE_MODULES / "krds-uiux" / "resources"
KRDS_STYLES = ("token/krds_tokens.css", "common/common.css", "component/component.css")
FONT = NODE_MODULES / "pretendard-gov" / "dist" / "web" / "variable"
#: The same font whole, for documents that are set on the server (`foundation.documents`).
DOCUMENT_FONTS = NODE_MODULES / "pretendard-gov" / "dist" / "public" / "static"
DOCUMENT_FONT_FILES = ("PretendardGOV-Regular.otf", "PretendardGOV-Bold.otf")
FONT_STYLE = "pretendardvariable-gov-dynamic-subset.css"
#: An image up to this size travels inside the style sheet; a larger one is a file of its own.
INLINE_IMAGE_BYTES = 4_096

_ATTRIBUTE = re.compile(r"""(?:class|id)=(?:"([^"]*)"|'([^']*)')""")
_LITERAL = re.compile(r""""([^"\n]*)"|'([^'\n]*)'|`([^`]*)`""")
_NAME = re.compile(r"-?[A-Za-z_][\w-]*")
_FONT_FILE = re.compile(r"url\(\./woff2-dynamic-subset/([\w.]+)\)")


class AssetsError(Exception):
    """The assets cannot be built; the message says what is missing and what to do."""


def _words(text: str, pattern: re.Pattern[str]) -> set[str]:
    return {name for groups in pattern.findall(text) for group in groups for name in _NAME.findall(group)}


def names_in_use(control: Path = CONTROL) -> frozenset[str]:
    """Every class and id that a template, the portal's Python or a script of ours writes."""
    names: set[str] = set()
    for path in sorted(control.rglob("*.html")):
        names |= _words(path.read_text(), _ATTRIBUTE)
    scripts = [*(control / "portal").rglob("*.py"), *SOURCES.glob("*.js")]
    for path in sorted(scripts):
        names |= _words(path.read_text(), _LITERAL)
    return frozenset(names)


class Output:
    """A folder of hashed files, their compressed copies, and the manifest of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == content:
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(path)

    def keep(self, name: str, content: bytes) -> None:
        """Write one file under its own name, for the server's own use."""
        self._write(self.folder / name, content)

    def add(self, name: str, content: bytes, *, compress: bool = True) -> str:
        """Write one file under its hashed name, which is returned."""
        digest = hashlib.sha256(content).hexdigest()[:12]
        stem, dot, suffix = name.rpartition(".")
        hashed = f"{stem}.{digest}{dot}{suffix}"
        self._write(self.folder / hashed, content)
        if compress:
            self._write(self.folder / f"{hashed}.gz", gzip.compress(content, 9, mtime=0))
        self.manifest[name] = hashed
        return hashed

    def finish(self) -> None:
        paths = dict(sorted(self.manifest.items()))
        digest = hashlib.sha256(json.dumps(paths).encode()).hexdigest()[:12]
        manifest = {"paths": paths, "version": "1.1", "hash": digest}
        self._write(self.folder / "staticfiles.json", json.dumps(manifest, indent=1).encode())


def _add_fonts(output: Output) -> None:
    """Pretendard GOV in 120 subsets; the browser fetches those whose characters a page shows."""
    style = (FONT / FONT_STYLE).read_text()

    def hashed(match: re.Match[str]) -> str:
        content = (FONT / "woff2-dynamic-subset" / match.group(1)).read_bytes()
        name = output.add(f"fonts/{match.group(1)}", content, compress=False)
        return f"url({name.removeprefix('fonts/')})"

    style = _FONT_FILE.sub(hashed, style).replace("'Pretendard GOV Variable'", "'Pretendard GOV'")
    style = re.sub(r"/\*.*?\*/|\s*\n\s*", "", style).replace(", U+", ",U+").replace(": ", ":")
    output.add("fonts/pretendard-gov.css", style.encode())


def _add_document_fonts(output: Output) -> None:
    for name in DOCUMENT_FONT_FILES:
        output.keep(f"documents/{name}", (DOCUMENT_FONTS / name).read_bytes())


def _image(address: str, output: Output) -> str:
    if address.startswith(("data:", "#")):
        return address
    name = address.rpartition("img/component/")[2]
    content = (KRDS / "img" / "component" / name).read_bytes()
    if name.endswith(".svg") and len(content) <= INLINE_IMAGE_BYTES:
        return "data:image/svg+xml," + quote(
            re.sub(r"\s*\n\s*", " ", content.decode()).replace('"', "'"), safe=" =:/'<>;,()-.#+"
        ).replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    if len(content) <= INLINE_IMAGE_BYTES:
        return "data:image/png;base64," + b64encode(content).decode()
    return output.add(f"images/{Path(name).name}", content)


def _add_style(output: Output) -> None:
    nodes = [node for name in KRDS_STYLES for node in css_pruning.parse((KRDS / "css" / name).read_text())]
    own = css_pruning.parse((SOURCES / "dure.css").read_text())
    kept = css_pruning.prune([*nodes, *own], names_in_use())
    output.add("dure.css", css_pruning.serialise(kept, lambda address: _image(address, output)).encode())


def build(folder: Path) -> Output:
    """Make everything the portal serves as a static file; the manifest is written last."""
    for needed in (KRDS, FONT, NODE_MODULES / "htmx.org"):
        if not needed.is_dir():
            raise AssetsError(f"{needed} is missing: install the front-end packages with `npm ci`")
    output = Output(folder)
    _add_fonts(output)
    _add_document_fonts(output)
    _add_style(output)
    output.add("htmx.js", (NODE_MODULES / "htmx.org" / "dist" / "htmx.min.js").read_bytes())
    for path in sorted(SOURCES.glob("*")):
        if path.suffix in {".js", ".svg", ".png"}:
            output.add(path.name, path.read_bytes())
    output.finish()
    return output


def main() -> int:
    folder = Path(os.environ.get("DURE_STATIC_ROOT") or REPOSITORY / "build" / "static")
    try:
        output = build(folder)
    except (AssetsError, OSError, ValueError) as error:
        sys.stderr.write(f"assets not built: {error}\n")
        return 1
    for name in ("dure.css", "fonts/pretendard-gov.css", "htmx.js", "dure.js"):
        size = (folder / f"{output.manifest[name]}.gz").stat().st_size
        sys.stdout.write(f"{name}: {size:,} bytes compressed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
