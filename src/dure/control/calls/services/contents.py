"""Verbs of what a call is made of: its form, its eligibility rules and its steps, as JSON (docs/call-format.md).

Saving accepts what can be read, however unfinished; publishing asks whether it is sound. Two officers who work on
one draft do not lose each other's work: who names the digest they began with (`base`) is refused when it is not
the newest any more.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks, meaning
from dure.control.calls.models import Call, FormVersion, Round, RuleVersion
from dure.control.calls.selectors import VersionView
from dure.control.calls.selectors.rounds import round_not_found
from dure.control.calls.selectors.values import version_view
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict

_READ = {"form": meaning.form, "rules": meaning.requirements, "steps": meaning.graph}


@transaction.atomic
def save_form(*, actor: Actor, call_slug: str, content: Any, base: str | None = None) -> VersionView:
    """Keep a form; rounds that are published go on with theirs. Raises `form_malformed` with every mistake's path."""
    row = checks.call_to_change(actor, call_slug)
    return version_view(keep_version(actor, row, "form", content, base=base))


@transaction.atomic
def save_rules(*, actor: Actor, call_slug: str, content: Any, base: str | None = None) -> VersionView:
    """Keep eligibility rules, likewise; `rules_malformed`."""
    row = checks.call_to_change(actor, call_slug)
    return version_view(keep_version(actor, row, "rules", content, base=base))


@transaction.atomic
def save_steps(
    *, actor: Actor, call_slug: str, content: Any, round_id: UUID | None = None, base: str | None = None
) -> str:
    """Keep the steps of a call, which its draft rounds follow, or those of one draft round; answers the digest."""
    row = checks.call_to_change(actor, call_slug)
    content = meaning.EMPTY["steps"] if content is None else content
    _readable("steps", content)
    one = _draft_round(actor, row, round_id) if round_id is not None else None
    standing = row.steps if one is None or one.steps is None else one.steps
    _nobody_meanwhile(base, meaning.digest_of(standing))
    digest = meaning.digest_of(content)
    if digest == meaning.digest_of(standing):
        return digest
    changed = one or row
    changed.steps = content
    changed.save(update_fields=["steps"])
    audit.record(
        actor=actor,
        action="call.steps_saved",
        subject_kind="call",
        subject_id=row.pk,
        after={"digest": digest, "round": one.number if one else None},
    )
    return digest


def keep_version(
    actor: Actor, call: Call, what: str, content: Any, *, base: str | None = None
) -> FormVersion | RuleVersion:
    """For this room's verbs: the newest version has this content now; a frozen one gets a successor."""
    content = meaning.EMPTY[what] if content is None else content
    _readable(what, content)
    model: type[FormVersion] | type[RuleVersion] = FormVersion if what == "form" else RuleVersion
    last = model.objects.filter(call=call).order_by("-number").first()
    _nobody_meanwhile(base, last.digest if last else "")
    digest = meaning.digest_of(content)
    if last is not None and last.digest == digest:
        return last
    values = {
        "content": content,
        "digest": digest,
        "changed_at": clock.now(),
        "changed_by_name": actor.name[:200],
    }
    if last is None or last.frozen_at is not None:
        highest = model.objects.filter(call=call).aggregate(highest=Max("number"))["highest"] or 0
        row = model.objects.create(call=call, number=highest + 1, **values)
    else:
        row = last
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=list(values))
    audit.record(
        actor=actor,
        action=f"call.{what}_saved",
        subject_kind="call",
        subject_id=call.pk,
        after={"version": row.number, "digest": digest},
    )
    return row


def _readable(what: str, content: Any) -> None:
    meaning.check_size(content, field=what)
    _READ[what](content)


def _draft_round(actor: Actor, call: Call, round_id: UUID) -> Round:
    row = checks.round_to_change(actor, round_id)
    if row.call_id != call.pk:
        raise round_not_found()
    if row.state != "draft":
        raise Conflict(
            "round_is_published",
            _("This round is published: what applicants rely on stays as it is."),
            remedy=_("Add another round, which starts from the call's present form, rules and steps."),
        )
    return row


def _nobody_meanwhile(base: str | None, standing: str) -> None:
    if base is not None and base != standing:
        raise Conflict(
            "changed_meanwhile",
            _("Somebody else has saved this meanwhile; what you wrote was not saved."),
            remedy=_("Keep your text, load the page again, and put it in once more."),
            data={"digest": standing},
        )
