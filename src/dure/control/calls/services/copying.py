"""Beginning a call from another: last year's, or a template that ships with Dure."""

import json
import re
from copy import deepcopy
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import checks, meaning, shipped
from dure.control.calls.models import Call, CallAttachment, FormVersion, Round, RuleVersion
from dure.control.calls.selectors import CallView, call
from dure.control.calls.services.calls import create_call
from dure.control.calls.services.contents import keep_version
from dure.control.foundation import audit, clock, files
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound

_YEAR = re.compile(r"(?<!\d)(20\d\d)(?!\d)")


@transaction.atomic
def copy_call(
    *,
    actor: Actor,
    slug: str,
    new_slug: str,
    programme_slug: str | None = None,
    name_ko: str | None = None,
    name_en: str | None = None,
    years: int = 1,
) -> CallView:
    """A new draft with everything of a call but its questions, answers and corrections. Every date, and the year in
    its names, is moved by `years`; it must be looked through before it is published.
    """
    source = checks.call_to_read(actor, slug)
    programme_id = checks.programme_for(actor, programme_slug or source.programme.slug).id
    texts = {name: getattr(source, name) for name in ("summary_ko", "summary_en", "text_ko", "text_en")} | {
        "name_ko": checks.line(name_ko or _later_years(source.name_ko, years), "name_ko", required=True),
        "name_en": checks.line(name_en or _later_years(source.name_en, years), "name_en"),
    }
    rounds = list(Round.objects.filter(call=source).exclude(state="cancelled").order_by("number"))
    steps = next((one.steps for one in reversed(rounds) if one.steps is not None), source.steps)
    row = create_call(
        actor,
        new_slug,
        programme_id,
        source.kind,
        texts,
        copied_from=source,
        template_key=source.template_key,
        needs_review=True,
        steps=later_steps(steps, years),
    )
    for what, model in (("form", FormVersion), ("rules", RuleVersion)):
        last = model.objects.filter(call=source).order_by("-number").first()
        if last is not None:
            keep_version(actor, row, what, last.content)
    for number, one in enumerate(rounds, start=1):
        _copy_round(row, one, number, years)
    for file in CallAttachment.objects.filter(call=source, removed_at=None).order_by("added_at"):
        file.id, file.call = uuid7(), row
        file.added_at, file.added_by_name = clock.now(), actor.name[:200]
        file.save(force_insert=True)
        files.keep(file.sha256, owner_kind="call_attachment", owner_id=file.pk)
    audit.record(
        actor=actor,
        action="call.copied",
        subject_kind="call",
        subject_id=row.pk,
        after={"slug": row.slug, "from": source.slug, "years": years},
    )
    return call(actor=actor, slug=row.slug)


@transaction.atomic
def add_from_template(
    *,
    actor: Actor,
    template_key: str,
    slug: str,
    programme_slug: str,
    name_ko: str = "",
    name_en: str = "",
) -> CallView:
    """A new draft from a template that ships with Dure, with a draft round that has its sums and no dates yet."""
    programme = checks.programme_for(actor, programme_slug)
    try:
        chosen = shipped.template(template_key)
    except NotFound:
        raise NotFound(
            _("There is no template “%(name)s”.") % {"name": template_key[:80]},
            code="template_not_found",
            field="template",
            remedy=_("Templates are: %(names)s.") % {"names": ", ".join(shipped.NAMES)},
        ) from None
    texts = {
        "name_ko": checks.line(name_ko or chosen.name_ko, "name_ko", required=True),
        "name_en": checks.line(name_en or ("" if name_ko else chosen.name_en), "name_en"),
        "summary_ko": chosen.summary_ko,
        "summary_en": chosen.summary_en,
        "text_ko": chosen.text_ko,
        "text_en": chosen.text_en,
    }
    row = create_call(
        actor,
        slug,
        programme.id,
        chosen.kind,
        texts,
        template_key=chosen.name,
        steps=json_of(chosen.steps_data),
    )
    keep_version(actor, row, "form", json_of(chosen.form_data))
    keep_version(actor, row, "rules", json_of(chosen.rules_data))
    rule = dict(chosen.automatic) if chosen.automatic else None
    if rule is not None:
        rule["most_micro_won"] = rule.pop("most_won") * MICRO_WON_PER_WON
    Round.objects.create(
        call=row,
        number=1,
        budget_micro_won=chosen.budget_won * MICRO_WON_PER_WON,
        least_micro_won=chosen.least_won * MICRO_WON_PER_WON,
        most_micro_won=chosen.most_won * MICRO_WON_PER_WON,
        automatic=checks.automatic(rule),
        created_at=clock.now(),
    )
    audit.record(
        actor=actor,
        action="call.added",
        subject_kind="call",
        subject_id=row.pk,
        after={"slug": slug, "programme": programme.slug, "template": chosen.name},
    )
    return call(actor=actor, slug=slug)


def json_of(value: Any) -> Any:
    """As JSON would give it back: YAML's dates become text."""
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def _copy_round(call_row: Call, source: Round, number: int, years: int) -> None:
    # Its own steps only where they differ from those the call begins with.
    own = later_steps(source.steps, years) if source.steps is not None else None
    if own is not None and meaning.digest_of(own) == meaning.digest_of(call_row.steps):
        own = None
    Round.objects.create(
        call=call_row,
        number=number,
        name_ko=_later_years(source.name_ko, years),
        name_en=_later_years(source.name_en, years),
        opens_at=later(source.opens_at, years),
        closes_at=later(source.closes_at, years),
        questions_until=later(source.questions_until, years),
        steps=own,
        budget_micro_won=source.budget_micro_won,
        least_micro_won=source.least_micro_won,
        most_micro_won=source.most_micro_won,
        automatic=source.automatic,
        created_at=clock.now(),
    )


def later(moment: datetime | None, years: int) -> datetime | None:
    """The same day and time in Seoul some years later; from 29 February to the 28th."""
    if moment is None:
        return None
    local = moment.astimezone(clock.SEOUL)
    try:
        return local.replace(year=local.year + years)
    except ValueError:
        return local.replace(year=local.year + years, day=28)


def later_steps(content: Any, years: int) -> Any:
    """The steps' JSON with every date moved."""
    moved = deepcopy(content)
    for one in moved.get("steps", []) if isinstance(moved, dict) else []:
        for name in ("opens_at", "closes_at"):
            if one.get(name):
                date = datetime.fromisoformat(one[name])
                date = date if date.tzinfo else date.replace(tzinfo=clock.SEOUL)
                one[name] = (later(date, years) or date).isoformat()
    return moved


def _later_years(text: str, years: int) -> str:
    return _YEAR.sub(lambda found: str(int(found[1]) + years), text)
