"""`dure up` for real: a start-up's first call, from an award to a charged token; and whatever may go wrong around it.

The tests share one instance and run in their order: from the first start to the last stop.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anthropic
import httpx
import openai
import psycopg
import pytest
from tests.e2e.running import Instance, clean_environment, dure, until

from dure.local.processes import is_alive

pytestmark = pytest.mark.xdist_group("dure_up")

MODEL = "smollm2-135m-instruct"
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
PARTS = ["database", "model", "gateway", "portal", "worker"]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    started = Instance(tmp_path_factory.mktemp("up") / "data")
    started.up("--timings")
    yield started
    started.end()


def ask(instance: Instance, **body: Any) -> httpx.Response:
    ready = instance.ready
    return httpx.post(
        f"{ready['gateway_url']}/v1/chat/completions",
        headers={"Authorization": f"Bearer {ready['demo_api_key']}"},
        json={"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 12, **body},
        timeout=120,
        trust_env=False,
    )


def usage(instance: Instance) -> dict[str, dict[str, Any]]:
    """What `dure usage list` prints of the award with the demonstration key, by request."""
    award = instance.ready["demo_award"]
    printed = dure("usage", "list", "--award", award, "--json", "--data", instance.folder)
    return {call["request_id"]: call for call in lines(printed)}


def lines(printed: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert printed.returncode == 0, printed.stderr
    return [json.loads(line) for line in printed.stdout.splitlines()]


def snippet(instance: Instance, first: str, last: str) -> str:
    shown = instance.shown()
    begin = shown.index(first)
    return shown[begin : shown.index(last, begin) + len(last)]


def test_ready_says_where_everything_is_to_its_owner_only(instance: Instance) -> None:
    ready = instance.ready
    assert set(ready) == {"portal_url", "gateway_url", "demo_api_key", "demo_award", "demo_users", "pids"}
    assert sorted(ready["pids"]) == sorted(PARTS)
    assert all({"role", "email", "password"} <= set(user) for user in ready["demo_users"])
    for name in ("ready.json", "instance.json", "secret_key", "demo.json"):
        assert (instance.folder / name).stat().st_mode & 0o077 == 0
    assert instance.folder.stat().st_mode & 0o077 == 0


def test_what_was_shown_has_a_sign_in_for_every_role_and_the_key(instance: Instance) -> None:
    shown, ready = instance.shown(), instance.ready
    for user in ready["demo_users"]:
        assert user["email"] in shown
        assert user["password"] in shown
    assert ready["portal_url"] in shown
    assert ready["demo_api_key"] in shown


def test_the_sign_in_page_offers_every_role_at_a_click(instance: Instance) -> None:
    page = httpx.get(f"{instance.ready['portal_url']}/account/login/", trust_env=False, timeout=30).text
    for user in instance.ready["demo_users"]:
        assert user["password"] in page
        assert user["name"] in page


def test_the_portal_answers(instance: Instance) -> None:
    answer = httpx.get(instance.ready["portal_url"], follow_redirects=True, trust_env=False, timeout=30)
    assert answer.status_code == 200


def test_the_curl_that_was_shown_works_when_pasted(instance: Instance) -> None:
    command = snippet(instance, "curl ", '"max_tokens": 60}\'')
    for pasted in (command, command.replace('"max_tokens"', '"stream": true, "max_tokens"')):
        done = subprocess.run(
            ["bash", "-c", pasted],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert "assistant" in done.stdout
    assert "data: [DONE]" in done.stdout


def test_the_python_that_was_shown_works_when_pasted(instance: Instance) -> None:
    program = snippet(instance, "from openai import OpenAI", "message.content)")
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_what_is_shown_to_look_at_afterwards_shows_a_call(instance: Instance) -> None:
    request_id = ask(instance).headers["x-request-id"]
    until(lambda: request_id in usage(instance), what="the call in the usage")
    said = snippet(instance, "What the calls have cost", "ledger verify").splitlines()
    page, used, verify = said[1].split()[0], *(shlex.split(line)[1:] for line in said[2:])
    assert request_id in dure(*used, "--data", instance.folder).stdout
    assert dure(*verify, "--data", instance.folder).returncode == 0
    signed_out = httpx.get(page, trust_env=False, timeout=30)
    assert (signed_out.status_code, "/login/" in signed_out.headers["location"]) == (302, True)


def test_a_call_is_charged_to_the_token(instance: Instance) -> None:
    answer = ask(instance)
    assert answer.status_code == 200, answer.text
    counted = answer.json()["usage"]
    request_id = answer.headers["x-request-id"]
    call = until(lambda: usage(instance).get(request_id), what="the call in the usage")
    assert call["model"] == MODEL
    assert call["input_tokens"] == counted["prompt_tokens"]
    assert call["output_tokens"] == counted["completion_tokens"]
    assert call["cost_micro_won"] == int(answer.headers["x-dure-cost-micro-won"])
    assert call["estimated"] is False


def test_a_stream_is_charged_to_the_token(instance: Instance) -> None:
    answer = ask(instance, stream=True, stream_options={"include_usage": True})
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    counted = json.loads(events[-2])["usage"]
    call = until(lambda: usage(instance).get(answer.headers["x-request-id"]), what="the call in the usage")
    assert (call["input_tokens"], call["output_tokens"]) == (
        counted["prompt_tokens"],
        counted["completion_tokens"],
    )
    assert call["estimated"] is False


def test_anthropic_s_client_talks_to_the_model(instance: Instance) -> None:
    ready = instance.ready
    client = anthropic.Anthropic(base_url=ready["gateway_url"], api_key=ready["demo_api_key"], max_retries=0)
    with client:
        answer = client.messages.with_raw_response.create(
            model=MODEL, max_tokens=12, messages=[{"role": "user", "content": "Hello!"}]
        )
        counted = answer.parse().usage
        with client.messages.stream(
            model=MODEL, max_tokens=12, messages=[{"role": "user", "content": "Hello!"}]
        ) as stream:
            assert "".join(stream.text_stream)
            streamed = stream.get_final_message().usage
            stream_id = stream.response.headers["request-id"]
    calls = {answer.headers["request-id"]: counted, stream_id: streamed}
    for request_id, said in calls.items():
        call = until(lambda wanted=request_id: usage(instance).get(wanted), what="the call in the usage")
        assert call["endpoint"] == "messages"
        assert call["input_tokens"] == said.input_tokens + (said.cache_read_input_tokens or 0)
        assert call["cached_tokens"] == (said.cache_read_input_tokens or 0)
        assert (call["output_tokens"], call["estimated"]) == (said.output_tokens, False)


def test_the_model_gives_responses_too(instance: Instance) -> None:
    ready = instance.ready
    with openai.OpenAI(
        base_url=f"{ready['gateway_url']}/v1", api_key=ready["demo_api_key"], max_retries=0
    ) as client:
        answer = client.responses.create(model=MODEL, input="Hello!", max_output_tokens=12)
        events = list(client.responses.create(model=MODEL, input="Hello!", max_output_tokens=12, stream=True))
    assert answer.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens <= 12
    call = until(lambda: usage(instance).get(answer._request_id), what="the call in the usage")
    assert (call["endpoint"], call["estimated"]) == ("responses", False)
    assert (call["input_tokens"], call["output_tokens"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )


def test_the_model_embeds_too(instance: Instance) -> None:
    ready = instance.ready
    answer = httpx.post(
        f"{ready['gateway_url']}/v1/embeddings", headers={"Authorization": f"Bearer {ready['demo_api_key']}"},
        json={"model": MODEL, "input": ["a village", "its fields"]}, timeout=120, trust_env=False,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 2


def test_the_ledger_agrees_with_itself(instance: Instance) -> None:
    verified = dure("ledger", "verify", "--data", instance.folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_second_start_on_the_same_data_is_refused_and_harms_nothing(instance: Instance) -> None:
    before = (instance.folder / "ready.json").read_bytes()
    second = dure("up", "--data", instance.folder)
    assert second.returncode == 1
    assert second.stderr.startswith(
        f"error: Dure already runs on {instance.folder} (process {instance.process.pid}). (already_running)\n"
    )
    assert "Traceback" not in second.stderr
    assert (instance.folder / "ready.json").read_bytes() == before


@pytest.mark.parametrize("part", ["portal", "gateway"])
def test_a_port_in_use_is_said_before_anything_starts(instance: Instance, part: str, tmp_path: Path) -> None:
    port = instance.ready[f"{part}_url"].rpartition(":")[2]
    other = {"portal": "gateway", "gateway": "portal"}[part]
    refused = dure("up", "--data", tmp_path / "other", f"--{part}-port", port, f"--{other}-port", "0")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error: Port {port}, where the {part} would listen, is in use by another program. (port_in_use)\n"
        f"  Choose another with --{part}-port; 0 picks a free one.\n"
    )
    assert not (tmp_path / "other" / "postgresql").exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_dies_is_started_again(instance: Instance, part: str) -> None:
    # The death of one part may be another's too, a moment later: the worker ends with the database.
    former = until(lambda: _alive(instance, part), what=f"a {part}")
    os.kill(former, signal.SIGKILL)
    until(lambda: instance.pids.get(part, former) != former, what=f"a new {part}")
    until(
        lambda: f"{part} is back (process {instance.pids[part]})" in instance.shown(), what=f"{part} is back"
    )
    assert f"{part} ended (SIGKILL)" in instance.shown()
    answer = until(lambda: _ok(instance), what="an answer of the model", seconds=60)
    assert answer.json()["usage"]["completion_tokens"] > 0


def _alive(instance: Instance, part: str) -> int | None:
    pid = instance.pids.get(part)
    return pid if pid is not None and is_alive(pid) else None


def _ok(instance: Instance) -> httpx.Response | None:
    try:
        answer = ask(instance)
    except httpx.TransportError:
        return None
    return answer if answer.status_code == 200 else None


def test_ctrl_c_stops_everything_and_the_next_start_keeps_the_data(instance: Instance) -> None:
    before, key = usage(instance), instance.ready["demo_api_key"]
    assert before
    began = time.monotonic()
    assert instance.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 20
    assert instance.processes() == []
    assert not instance.is_ready()
    away = dure("awards", "list", "--data", instance.folder)
    assert (away.returncode, "Traceback" in away.stderr) == (1, False)
    assert "(database_away)" in away.stderr

    instance.up()
    assert instance.ready["demo_api_key"] == key
    assert ask(instance).status_code == 200
    assert usage(instance).keys() >= before.keys()


def test_a_killed_supervisor_leaves_no_orphans_and_the_next_start_is_whole(instance: Instance) -> None:
    answer = ask(instance)
    instance.process.kill()
    instance.process.wait()
    until(lambda: instance.processes() == [], what="the parts' end", seconds=30)
    instance.up()
    until(lambda: usage(instance).get(answer.headers["x-request-id"]), what="the last call in the usage")
    verified = dure("ledger", "verify", "--data", instance.folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_start_right_after_a_kill_waits_for_what_is_ending(instance: Instance) -> None:
    instance.process.kill()
    instance.process.wait()
    instance.up()
    assert ask(instance).status_code == 200
    assert instance.stop(signal.SIGTERM) == 0
    assert instance.processes() == []


def test_a_port_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = dure("up", "--data", tmp_path / "data", "--portal-port", port, "--gateway-port", "0")
    assert refused.returncode == 1
    assert "(port_in_use)" in refused.stderr


def test_one_port_for_two_parts_is_refused(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    refused = dure("up", "--data", tmp_path / "data", "--portal-port", port, "--gateway-port", port)
    assert refused.returncode == 1
    assert "(ports_equal)" in refused.stderr


def test_an_ordinary_user_in_a_folder_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Besides: without the model and the demonstration."""
    if os.geteuid() != 0:
        pytest.skip("the other tests are this one already")
    python_runs = subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], check=False, capture_output=True)
    if python_runs.returncode != 0:
        pytest.skip("nobody may not run this Python")
    with tempfile.TemporaryDirectory(prefix="dure-nobody-", dir="/tmp") as made:
        home = Path(made)
        os.chown(home, NOBODY, NOBODY)
        instance = Instance(home / "data")
        try:
            instance.up("--no-model", "--no-demo", before=AS_NOBODY, HOME=made)
            assert sorted(instance.pids) == ["database", "gateway", "portal", "worker"]
            assert instance.ready["demo_users"] == []
            assert instance.ready["demo_api_key"] is None
            assert instance.folder.stat().st_uid == NOBODY
            models = httpx.get(f"{instance.ready['gateway_url']}/v1/models", trust_env=False, timeout=30)
            assert (models.status_code, models.json()["error"]["code"]) == (401, "invalid_api_key")
            assert instance.stop() == 0
            assert instance.processes() == []
        finally:
            instance.end()


def test_a_database_of_ones_own_is_used_instead(tmp_path: Path) -> None:
    server, name = os.environ["DURE_TEST_SERVER"], f"dure_own_{os.getpid()}"
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    instance = Instance(tmp_path / "data")
    try:
        instance.up("--no-model", DURE_DATABASE_URL=url)
        assert sorted(instance.pids) == ["gateway", "portal", "worker"]
        assert not (instance.folder / "postgresql").exists()
        listed = lines(dure("organisations", "list", "--json", "--data", instance.folder))
        with psycopg.connect(url) as connection:
            counted = connection.execute("SELECT count(*) FROM identity_organisation").fetchone()
        assert counted == (len(listed),)
        assert instance.stop() == 0
    finally:
        instance.end()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("url", "code"),
    [("postgresql://dure@127.0.0.1:1/dure", "database_away"), ("no address", "database_url"),
     ("postgresql://dure@/dure?host=%2Fnowhere", "database_away")],
)  # fmt: skip
def test_a_database_of_ones_own_that_is_away_is_said_at_once(tmp_path: Path, url: str, code: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "dure.cli.main", "up", "--data", str(tmp_path / "data"), "--portal-port", "0",
         "--gateway-port", "0"],
        env=clean_environment() | {"DURE_DATABASE_URL": url}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert f"({code})" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert Instance(tmp_path / "data").processes() == []


@pytest.mark.parametrize("after_seconds", [0.0, 0.3, 0.8, 1.5, 3.0])
def test_ctrl_c_in_the_middle_of_a_first_start_leaves_nothing_behind(
    tmp_path: Path, after_seconds: float
) -> None:
    instance = Instance(tmp_path / "data")
    instance.begin()
    until(instance.shown, what="its first line")
    time.sleep(after_seconds)
    assert instance.stop(signal.SIGINT) in {0, 130}
    assert "Traceback" not in instance.shown()
    assert instance.processes() == []


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    kept = Instance(tmp_path / "data")
    kept.begin("--no-model", "--no-demo", before=["nohup"])
    until(kept.shown, what="its first line")
    time.sleep(0.3)
    kept.process.send_signal(signal.SIGHUP)
    try:
        until(lambda: kept.is_ready() or kept.has_ended(), what="ready")
        assert kept.is_ready(), kept.shown()
    finally:
        kept.end()
