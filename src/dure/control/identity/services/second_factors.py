"""Second factors and passkeys, where their owner has lost them."""

from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, NotFound
from dure.control.identity import notices
from dure.control.identity.models import Person
from dure.control.identity.services.sessions import end_other_sessions


@transaction.atomic
def reset_second_factors(*, actor: Actor, person_id: UUID) -> int:
    """Remove all of a person's second factors and passkeys, by an operator who knows who asks; returns how many.

    The person is told by mail, and every open session ends.
    """
    if not actor.has("operator"):
        raise Forbidden
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise NotFound(code="person_not_found")
    removed: int = Authenticator.objects.filter(user=person).delete()[0]
    if removed:
        end_other_sessions(actor=actor, person_id=person_id)
        audit.record(
            actor=actor, action="person.second_factors_reset", subject_kind="person", subject_id=person_id
        )
        notices.account_changed(
            person, _("An operator removed all second factors of your account."), address="–", agent=""
        )
    return removed
