"""Mail about gateways that may be lost, to the officers whose programmes' money waits in them."""

from collections.abc import Collection, Sequence
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext, ngettext

from dure.control.foundation import outbox
from dure.control.foundation.money import format_won
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import PersonView
from dure.control.ledger import selectors as ledger
from dure.control.ledger.selectors import EscrowHolding
from dure.control.settlement.models import LossDeclaration

Occasion = Literal["requested", "confirmed", "withdrawn"]


def loss(
    occasion: Occasion,
    declarations: Sequence[LossDeclaration],
    *,
    agencies: Collection[UUID | None],
    holdings: Sequence[EscrowHolding],
) -> None:
    """Tell each officer concerned once, in their language, what was asked or decided and what it moves."""
    for person in _officers(agencies):
        with translation.override(person.language):
            subject, body = _text(occasion, declarations, holdings, person.language)
            outbox.send_mail_later(
                to=person.email,
                subject=subject,
                body=body,
                language=person.language,
                dedupe_key=f"loss-{declarations[0].pk}-{occasion}-{person.id}",
            )


def _officers(agencies: Collection[UUID | None]) -> list[PersonView]:
    if not agencies or None in agencies:
        return identity.people_with_role("officer")
    found = {
        person.id: person
        for agency in agencies
        if agency is not None
        for person in identity.people_to_notify(agency, roles=["officer"])
    }
    return list(found.values())


def _text(
    occasion: Occasion,
    declarations: Sequence[LossDeclaration],
    holdings: Sequence[EscrowHolding],
    language: str,
) -> tuple[str, str]:
    declaration = declarations[0]
    node = declaration.process.node
    subjects = {
        "requested": gettext("Confirm or refuse: the gateway %(node)s is to be declared lost"),
        "confirmed": gettext("The gateway %(node)s was declared lost; its money is back in the awards"),
        "withdrawn": gettext("The gateway %(node)s is not declared lost after all"),
    }
    leads = {
        "requested": gettext(
            "%(asker)s asks to declare the gateway %(node)s lost (processes: %(count)s). Another officer has to"
            " confirm it within seven days; until then nothing moves."
        ),
        "confirmed": gettext(
            "%(asker)s asked and %(decider)s confirmed that the gateway %(node)s is lost (processes: %(count)s). What"
            " it held is back in the awards, as corrections on the ledger. If its journal turns up after all, the"
            " calls in it are charged as far as the awards have the money."
        ),
        "withdrawn": gettext(
            "%(decider)s withdrew what %(asker)s had asked for: to declare the gateway %(node)s lost (processes:"
            " %(count)s). Nothing has moved."
        ),
    }
    names = {
        "node": node,
        "asker": declaration.requested_by_name,
        "decider": declaration.decided_by_name,
        "count": len(declarations),
    }
    page = reverse("portal:gateway_process", args=[declaration.process_id])
    body = "\n".join(
        [
            leads[occasion] % names,
            "",
            *_lines(holdings, language),
            gettext("Reason: %(reason)s") % {"reason": declaration.reason},
            "",
            settings.DURE_PORTAL_URL + page,
            "",
        ]
    )
    return subjects[occasion] % names, body


def _lines(holdings: Sequence[EscrowHolding], language: str) -> list[str]:
    """The sum of each programme whose awards are concerned."""
    books: dict[UUID, list[int]] = {}
    for holding in holdings:
        books.setdefault(holding.book_id, []).append(holding.amount)
    lines = []
    for book_id, amounts in books.items():
        book = ledger.book(book_id=book_id)
        awards = ngettext("%(n)s award", "%(n)s awards", len(amounts)) % {"n": len(amounts)}
        name = book.name if book else str(book_id)
        lines.append(f"- {name}: {format_won(sum(amounts), language)} ({awards})")
    return [*lines, ""] if lines else []
