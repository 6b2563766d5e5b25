"""`dure organisations` and `dure people`, by what they print and how they end."""

import io
import json
from collections.abc import Iterator

import pytest
from django.utils import translation

from dure.cli._context import run
from dure.cli.organisations import organisations
from dure.cli.people import people
from dure.control.foundation.models import OutboxMail
from dure.control.identity import selectors
from dure.control.identity.models import Organisation, Person

pytestmark = pytest.mark.django_db
ADD = ["add", "haneul", "--kind", "startup", "--name", "하늘랩", "--name-en", "Haneul Labs"]


@pytest.fixture(autouse=True)
def language_stays() -> Iterator[None]:
    with translation.override("en"):
        yield


def test_an_organisation_is_added_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(organisations, ADD) == 0
    assert capsys.readouterr().out.startswith("Added haneul (startup): ")
    assert run(organisations, ["list", "--kind", "startup", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert run(organisations, ["show", "haneul", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {name: shown[name] for name in listed} == listed
    assert (listed["slug"], listed["name_ko"], listed["name_en"]) == ("haneul", "하늘랩", "Haneul Labs")


def test_refusals_have_a_name_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    run(organisations, ADD)
    capsys.readouterr()
    cases = {
        "organisation_exists": ADD,
        "slug_invalid": ["add", "Ha Neul", "--kind", "sme", "--name", "x"],
        "name_invalid": ["add", "x", "--kind", "sme", "--name", " "],
        "organisation_not_found": ["show", "nothing"],
    }
    for code, arguments in cases.items():
        assert run(organisations, arguments) == 1
        printed = capsys.readouterr()
        assert (printed.out, f"({code})" in printed.err.splitlines()[0]) == ("", True)
    assert Organisation.objects.count() == 1


def test_an_unknown_kind_is_a_matter_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(organisations, ["add", "x", "--kind", "club", "--name", "x"]) == 2
    assert "startup" in capsys.readouterr().err


def add_person(*more: str, email: str = "kim@example.kr", role: str = "developer") -> int:
    options = ["--name", "김하늘", "--organisation", "haneul", "--role", role]
    return run(people, ["add", email, *options, *more])


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_person_is_added_with_a_password_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(organisations, ADD)
    type_in(monkeypatch, "거북이-열두-마리-간다\n")
    assert add_person("--password-stdin") == 0
    assert "kim@example.kr acts for haneul as developer" in capsys.readouterr().out
    assert Person.objects.get().check_password("거북이-열두-마리-간다")
    assert OutboxMail.objects.count() == 0


def test_a_person_without_a_password_is_mailed_a_link() -> None:
    run(organisations, ADD)
    assert add_person() == 0
    assert OutboxMail.objects.get().to == "kim@example.kr"


def test_the_same_person_again_is_refused_by_name_and_new_roles_are_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(organisations, ADD)
    add_person()
    assert add_person() == 1
    assert "(membership_exists)" in capsys.readouterr().err
    type_in(monkeypatch, "거북이-열두-마리-간다\n")
    assert add_person("--password-stdin") == 1
    assert "(person_exists)" in capsys.readouterr().err
    assert add_person(role="viewer") == 0
    assert selectors.memberships_of(Person.objects.get().pk)[0].roles == ("viewer",)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"email": "kim"}, "email_invalid"),
        ({"role": "officer"}, "role_not_allowed"),
    ],
)
def test_nothing_is_half_added(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, str], code: str
) -> None:
    run(organisations, ADD)
    assert add_person(**arguments) == 1  # type: ignore[arg-type]
    assert f"({code})" in capsys.readouterr().err
    assert (Person.objects.count(), OutboxMail.objects.count()) == (0, 0)


def test_a_password_is_set_anew(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(organisations, ADD)
    add_person()
    capsys.readouterr()
    for text, code in [("", "password_missing"), ("1234\n", "password_weak")]:
        type_in(monkeypatch, text)
        assert run(people, ["password", "kim@example.kr"]) == 1
        assert f"({code})" in capsys.readouterr().err
    type_in(monkeypatch, "두루미-세-마리-날다\n")
    assert run(people, ["password", "KIM@example.kr"]) == 0
    assert Person.objects.get().check_password("두루미-세-마리-날다")
    assert run(people, ["password", "nobody@example.kr"]) == 1


def test_people_are_listed_with_whom_they_act_for(capsys: pytest.CaptureFixture[str]) -> None:
    run(organisations, ADD)
    add_person()
    capsys.readouterr()
    assert run(people, ["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["acts_for"] == "haneul (developer)"
