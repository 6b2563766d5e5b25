"""How long a document takes and how large it is: `python bench/documents.py`."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
os.environ.setdefault("DURE_DATABASE_URL", "postgresql:///none")
os.environ.setdefault("DURE_SECRET_KEY", "bench")
os.environ["DJANGO_SETTINGS_MODULE"] = "dure.control.config.settings"

import django

django.setup()

from dure.control.foundation import documents  # noqa: E402


def data(number: int) -> dict:
    people = [["이름", "역할", "참여율"], *[[f"김새벽 {n}", "연구원", "50 %"] for n in range(40)]]
    fields = [
        {"label": "목적", "text": "상담원의 일을 덥니다. " * 60},
        {"label": "참여 인력", "table": people},
    ]
    return {"title": f"통화 요약 서비스 {number}", "sections": [{"title": "사업 개요", "fields": fields}]}


def main() -> None:
    times = []
    for number in range(11):
        begun = time.perf_counter()
        made = documents.pdf("document", data(number))
        times.append(time.perf_counter() - begun)
    print(f"first {times[0]:.2f} s, then {sorted(times[1:])[5]:.3f} s in the middle; {len(made):,} bytes")


if __name__ == "__main__":
    main()
