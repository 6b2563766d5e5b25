"""What a person sees while everything starts, and how to use it once it has."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

from dure import __version__
from dure.local.model import NAME as MODEL

COLUMN = 10


class CommandLine(NamedTuple):
    """How a command of ours is typed here: the program, and the option that finds this instance ("" if it does so by
    itself)."""

    program: str = "dure"
    data_option: str = ""

    def command(self, words: str) -> str:
        return f"{self.program} {words}{' ' if self.data_option else ''}{self.data_option}"


PLAIN = CommandLine()


@dataclass
class Phase:
    name: str
    began: float
    ended: float = 0.0
    detail: str = ""


@dataclass
class Progress:
    """Aligned lines, and on a terminal a line that says what is still awaited."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    began_at: float = field(default_factory=time.monotonic)
    phases: dict[str, Phase] = field(default_factory=dict)
    _shown: str = ""

    def hello(self, data: Any) -> None:
        self._line(f"Dure {__version__}  ·  data in {data}\n")

    def say(self, sentence: str) -> None:
        self._line(f"  {sentence}")

    def began(self, name: str) -> None:
        self.phases[name] = Phase(name, time.monotonic() - self.began_at)

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        self.began(name)
        phase = self.phases[name]
        self.waiting([name])
        yield phase
        self._phase_done(phase)

    def part_ready(self, name: str, *, pid: int | None, again: bool) -> None:
        if again:
            self.say(f"{name} is back (process {pid}).")
        elif name in self.phases:
            self._phase_done(self.phases[name])

    def waiting(self, names: list[str]) -> None:
        if not self.out.isatty():
            return
        text = f"  … {', '.join(dict.fromkeys(names))}  {time.monotonic() - self.began_at:.0f} s"
        if text != self._shown:
            self._shown = text
            self.out.write(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}")
            self.out.flush()

    def ready(
        self, summary: dict[str, Any], *, model_url: str, has_demo: bool, dure: CommandLine, timings: bool
    ) -> None:
        took = time.monotonic() - self.began_at
        if timings:
            self._line("\n".join(["", *self._timings()]))
        said = instructions(summary, model_url=model_url, has_demo=has_demo, dure=dure)
        self._line(f"\nReady after {took:.1f} s.\n\n{said}\n\nCtrl-C stops everything; the data stays.")

    def stopping(self) -> None:
        self._line("\nStopping …")

    def stopped(self) -> None:
        self._line("Stopped.")

    def _phase_done(self, phase: Phase) -> None:
        phase.ended = time.monotonic() - self.began_at
        took = f"{phase.ended - phase.began:.1f} s"
        self._line(
            f"  {phase.name:<{COLUMN}}{'ready':<7}{took:>6}{'  ' + phase.detail if phase.detail else ''}"
        )

    def _timings(self) -> list[str]:
        rows = sorted(self.phases.values(), key=lambda phase: phase.began)
        return [
            f"  {'phase':<{COLUMN}}{'from':>8}{'to':>8}{'took':>8}  (seconds)",
            *(
                f"  {one.name:<{COLUMN}}{one.began:>8.2f}{one.ended:>8.2f}{one.ended - one.began:>8.2f}"
                for one in rows
            ),
        ]

    def _line(self, text: str) -> None:
        if self._shown:
            self.out.write("\r\x1b[2K")
            self._shown = ""
        try:
            self.out.write(f"{text}\n")
            self.out.flush()
        except BrokenPipeError:
            pass  # nobody reads any more; the parts go on


def instructions(
    summary: dict[str, Any], *, model_url: str, has_demo: bool, dure: CommandLine = PLAIN
) -> str:
    """Addresses, sign-ins, two snippets that work when pasted, and where to look after that.

    `model_url` is where the embedded model is served ("" if it is not); `has_demo` whether the data holds the
    demonstration, which an earlier start may have built.
    """
    portal, gateway, key = summary["portal_url"], summary["gateway_url"], summary["demo_api_key"]
    blocks = [f"Portal    {portal}"]
    users = summary["demo_users"]
    if users:
        blocks[0] += "\n\n" + _sign_ins(users, portal)
    blocks.append(f"Gateway   {gateway}/v1")
    if key:
        blocks[-1] += f"\nAPI key   {key}"
        blocks.append(_curl(gateway, key))
        blocks.append(_python(gateway, key))
        if award := summary.get("demo_award"):
            blocks.append(_afterwards(portal, award, dure))
        if not model_url:
            blocks.append(
                "No model runs here (--no-model): these calls are refused with model_unavailable until a catalogue"
                f"\nsays where {MODEL} is served (docs/catalogue-format.md)."
            )
    elif users:
        blocks.append(
            f"The demonstration's API key was revoked. Issue another: {dure.command('keys issue --award ID')}"
        )
    else:
        if model_url:
            blocks[-1] += f"\nModel     {model_url}  ({MODEL}; docs/catalogue-format.md says how to offer it)"
        blocks.append(
            "The demonstration of an earlier start is still in this data; nothing was added to it."
            if has_demo
            else f"There is no demonstration here. `{dure.program} --help` shows how to add organisations, awards and keys."
        )
    return "\n\n".join(blocks)


def _sign_ins(users: list[dict[str, Any]], portal: str) -> str:
    headings = ("role", "e-mail", "password")
    rows = [(str(user.get("role", "")), str(user["email"]), str(user["password"])) for user in users]
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(3)]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [headings, *rows]
    ]
    return "\n".join([f"Sign in as (demonstration only; at a click on {portal}/account/login/)", *lines])


def _curl(gateway: str, key: str) -> str:
    return f"""\
curl {gateway}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello!"}}], "max_tokens": 60}}'"""


def _afterwards(portal: str, award: str, dure: CommandLine) -> str:
    return f"""\
What the calls have cost, and what is left:
  {portal}/awards/{award}/   (sign in as the developer)
  {dure.command(f"usage list --award {award}")}
  {dure.command("ledger verify")}"""


def _python(gateway: str, key: str) -> str:
    return f"""\
from openai import OpenAI
client = OpenAI(base_url="{gateway}/v1", api_key="{key}")
answer = client.chat.completions.create(
    model="{MODEL}", max_tokens=60, messages=[{{"role": "user", "content": "Hello!"}}]
)
print(answer.choices[0].message.content)"""
