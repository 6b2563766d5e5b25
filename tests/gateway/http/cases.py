"""The corpus: one file a case, its bytes and what must come of them."""

from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Case:
    name: str
    why: str
    then: tuple[str, ...]
    data: bytes


def cases(kind: str) -> list[Case]:
    return [read_case(path) for path in sorted((CORPUS / kind).glob("*.txt"))]


def read_case(path: Path) -> Case:
    head, _, lines = path.read_text().partition("---\n")
    said = [line.partition(": ")[::2] for line in head.splitlines()]
    (why,) = (text for name, text in said if name == "why")
    then = tuple(one for name, text in said if name == "then" for one in _repeated(text))
    data = b"".join(unescaped(one) for line in lines.splitlines() for one in _repeated(line))
    return Case(path.stem, why, then, data)


def unescaped(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def _repeated(text: str) -> list[str]:
    if text.startswith("*") and (count := text[1:].partition(" "))[0].isdigit():
        return [count[2]] * int(count[0])
    return [text]
