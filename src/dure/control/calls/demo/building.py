"""Add the demonstration's calls that are missing. Found by their short names; a second run changes nothing."""

from copy import deepcopy
from datetime import datetime, time, timedelta
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import yaml
from django.db import transaction

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import selectors, services
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services

ACTOR = Actor.system("demonstration")


@cache
def wanted() -> dict[str, Any]:
    """The file as values."""
    text = files(__package__).joinpath("calls.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def build() -> bool:
    """Whether anything was missing."""
    changed = [_profile(slug, facts) for slug, facts in wanted()["profiles"].items()]
    changed += [_verified(slug) for slug in wanted()["verified"]]
    changed += [_call(one) for one in wanted()["calls"]]
    return any(changed)


def _profile(slug: str, facts: dict[str, Any]) -> bool:
    """What nobody has stated yet; what somebody has stays."""
    found = identity.profile(identity.organisation(slug).id)
    if not found.demo or found.founded_on is not None or found.size_class is not None:
        return False
    identity_services.change_profile(actor=ACTOR, organisation_id=found.id, **facts)
    return True


@transaction.atomic
def _verified(slug: str) -> bool:
    found = identity.profile(identity.organisation(slug).id)
    if not found.demo or found.verification_state != "unverified" or identity.documents(found.id):
        return False
    ends = clock.now().astimezone(clock.SEOUL).date() + timedelta(days=365)
    for kind in wanted()["certificates"]:
        document = identity_services.add_document(
            actor=ACTOR,
            organisation_id=found.id,
            kind=kind,
            stream=BytesIO(_page(f"{kind} of {slug} - demonstration, not a certificate")),
            name=f"{kind}.pdf",
            valid_until=ends,
        )
        identity_services.accept_document(actor=ACTOR, document_id=document.id)
    identity_services.ask_verification(actor=ACTOR, organisation_id=found.id)
    identity_services.verify_organisation(actor=ACTOR, organisation_id=found.id, reason="demonstration")
    return True


@transaction.atomic
def _call(one: dict[str, Any]) -> bool:
    try:
        selectors.call(actor=ACTOR, slug=one["slug"])
    except NotFound:
        pass
    else:
        return False
    begun = services.add_from_template(
        actor=ACTOR,
        template_key=one["template"],
        slug=one["slug"],
        programme_slug=one["programme"],
        name_ko=one["name_ko"],
        name_en=one["name_en"],
    )
    if one.get("requirements"):
        rules = selectors.draft(actor=ACTOR, slug=one["slug"]).rules
        standing = rules.content if rules else []
        services.save_rules(actor=ACTOR, call_slug=one["slug"], content=[*standing, *one["requirements"]])
    if lines := one.get("budget_lines"):
        _spend_by(one["slug"], lines)
    now = clock.now()
    last = now.astimezone(clock.SEOUL).date() + timedelta(days=one["days_open"])
    closes_at = datetime.combine(last, time(18), clock.SEOUL)
    round_ = services.change_round(
        actor=ACTOR,
        round_id=begun.rounds[0].id,
        opens_at=now,
        closes_at=closes_at,
        questions_until=closes_at - timedelta(days=one["days_open"] // 3),
        budget_micro_won=one["budget_won"] * MICRO_WON_PER_WON,
    )
    services.publish_round(actor=ACTOR, round_id=round_.id)
    return True


def _spend_by(slug: str, lines: list[dict[str, Any]]) -> None:
    """Give the form's budgets these lines instead of the template's."""
    form = selectors.draft(actor=ACTOR, slug=slug).form
    assert form is not None
    content = deepcopy(form.content)
    for section in content["sections"]:
        for field in section["fields"]:
            if field["kind"] == "budget":
                field["lines"] = lines
    services.save_form(actor=ACTOR, call_slug=slug, content=content)


def _page(text: str) -> bytes:
    """A PDF of one page with a line of ASCII text."""
    drawn = f"BT /F1 14 Tf 60 760 Td ({text}) Tj ET".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    content, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(content))
        content += b"%d 0 obj%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return content + end % (len(parts) + 1, table, len(parts) + 1, len(content))
