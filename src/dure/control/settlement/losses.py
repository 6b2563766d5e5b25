"""Declaring a gateway process lost: the money that waits for its journal goes back to the awards.

Two officers, within a week, with a reason; only for a process that is silent and not finished. The second officer's
word moves the money, in one transaction with the mark on the process: corrections of the leases that set it aside.
From then on the process leases nothing, and should its journal turn up after all, its usage is charged to the award
as far as there is money (migration `_lost_processes.sql`, ADR 0009).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from dure.control.access import selectors as access
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.ledger import selectors as ledger
from dure.control.ledger import services as money
from dure.control.ledger.selectors import EscrowHolding
from dure.control.settlement import notices, rules
from dure.control.settlement.models import GatewayProcess, LossDeclaration, LostEscrow
from dure.control.settlement.processes import SILENT_AFTER, LossView, loss_view
from dure.control.settlement.workflow import TERM, LossState, may_become

__all__ = ["confirm_lost", "declare_lost", "withdraw_lost"]

MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class _Subject:
    """A process, locked, with what it holds and whose money that is."""

    row: GatewayProcess
    holdings: list[EscrowHolding]
    agencies: Collection[UUID | None]

    @property
    def micro_won(self) -> int:
        return sum(holding.amount for holding in self.holdings)


def declare_lost(
    *, actor: Actor, process_ids: Collection[UUID], reason: str, at: datetime | None = None
) -> list[LossView]:
    """The first officer's word about these processes, all or none. Nothing moves; the other officers are told."""
    now = at or clock.now()
    reason = " ".join(reason.split())
    with transaction.atomic():
        subjects = _subjects(actor, process_ids)
        if not reason or len(reason) > MAX_REASON:
            raise Invalid(
                "reason_missing" if not reason else "reason_too_long",
                _("A gateway is not declared lost without a reason of at most 500 characters."),
                field="reason",
                remedy=_("Write what happened to the machine and its disk, for the auditors to read."),
            )
        declarations = [_request(actor, subject, reason, now) for subject in subjects]
        _tell("requested", subjects, declarations)
    return [loss_view(one, now=now) for one in declarations]


def confirm_lost(
    *, actor: Actor, process_ids: Collection[UUID], at: datetime | None = None
) -> list[LossView]:
    """The second officer's word: the escrow returns to the awards and the processes are lost, all of it or nothing."""
    now = at or clock.now()
    with transaction.atomic():
        subjects = _subjects(actor, process_ids)
        declarations = [_open(subject.row, now, "confirmed") for subject in subjects]
        for subject, declaration in zip(subjects, declarations, strict=True):
            if declaration.requested_by_id == actor.person_id:
                raise Conflict(
                    "second_officer_needed",
                    _("You asked for this yourself; another officer must confirm it."),
                    remedy=_("Ask a colleague. You may withdraw it."),
                )
            _must_be_gone(subject.row)
        _return_escrow(actor, subjects, declarations)
        for declaration in declarations:
            _decide(declaration, actor, now, "confirmed")
            _record(
                actor, declaration, "gateway.declared_lost", returned_micro_won=declaration.returned_micro_won
            )
        _tell("confirmed", subjects, declarations)
    return [loss_view(one, now=now) for one in declarations]


def withdraw_lost(
    *, actor: Actor, process_ids: Collection[UUID], at: datetime | None = None
) -> list[LossView]:
    """Either officer takes it back before it is confirmed: nothing moves."""
    now = at or clock.now()
    with transaction.atomic():
        subjects = _subjects(actor, process_ids)
        declarations = [_open(subject.row, now, "withdrawn") for subject in subjects]
        for declaration in declarations:
            _decide(declaration, actor, now, "withdrawn")
            _record(actor, declaration, "gateway.loss_withdrawn")
        _tell("withdrawn", subjects, declarations)
    return [loss_view(one, now=now) for one in declarations]


def _subjects(actor: Actor, process_ids: Collection[UUID]) -> list[_Subject]:
    """In the order of their ids, so that two officers never wait for each other in a circle."""
    return [_subject(actor, process_id) for process_id in sorted(set(process_ids))]


def _subject(actor: Actor, process_id: UUID) -> _Subject:
    """Locked against everything that moves this process's money or usage; refused to whom it is no business of."""
    if not rules.may_see_processes(actor):
        raise NotFound(code="process_not_found")
    row = GatewayProcess.objects.select_for_update().filter(pk=process_id).first()
    if row is None:
        raise NotFound(_("There is no gateway process with this id."), code="process_not_found")
    holdings = ledger.escrow_holdings(counterpart_ids=[row.pk])
    agencies = access.agencies_of(award_ids=[holding.owner_id for holding in holdings])
    if not rules.may_declare_lost(actor, agencies):
        raise Forbidden(
            _("Only officers of an agency whose money waits may decide this."),
            code="officer_needed",
            remedy=_("It takes two of them; the command line needs their personal access tokens."),
        )
    return _Subject(row, holdings, agencies)


def _must_be_gone(row: GatewayProcess) -> None:
    """By the database's clock, which is also the one that heard the process last."""
    if row.finished_at is not None or row.lost_at is not None:
        raise Conflict(
            "process_settled",
            _("This process is finished or was declared lost already; nothing of it waits."),
        )
    if not GatewayProcess.objects.filter(pk=row.pk, last_seen_at__lt=Now() - SILENT_AFTER).exists():
        raise Conflict(
            "process_alive",
            _("This process was heard of within the last %(seconds)s seconds, so it is not lost.")
            % {"seconds": int(SILENT_AFTER.total_seconds())},
            remedy=_("Stop its node; a process that ends in order gives everything back by itself."),
        )


def _standing(row: GatewayProcess) -> LossDeclaration | None:
    return LossDeclaration.objects.filter(process=row, state="requested").first()


def _expire(row: GatewayProcess, now: datetime) -> None:
    LossDeclaration.objects.filter(process=row, state="requested", expires_at__lte=now).update(
        state="expired"
    )


def _open(row: GatewayProcess, now: datetime, after: LossState) -> LossDeclaration:
    declaration = _standing(row)
    if declaration is None or not may_become(cast("LossState", declaration.state), after):
        raise Conflict(
            "declaration_missing",
            _("Nobody has asked for this process to be declared lost."),
            remedy=_("The first officer asks for it with a reason; then another confirms."),
        )
    if declaration.expires_at <= now:
        raise Conflict(
            "declaration_expired",
            _("The request is older than %(days)s days and no longer stands.") % {"days": TERM.days},
            remedy=_("Ask for it anew, if the process is still gone."),
        )
    return declaration


def _decide(declaration: LossDeclaration, actor: Actor, now: datetime, state: LossState) -> None:
    declaration.state = state
    declaration.decided_at, declaration.decided_by_id = now, actor.person_id
    declaration.decided_by_name = actor.name[:200]
    declaration.save(
        update_fields=["state", "decided_at", "decided_by_id", "decided_by_name", "returned_micro_won"]
    )


def _request(actor: Actor, subject: _Subject, reason: str, now: datetime) -> LossDeclaration:
    _must_be_gone(subject.row)
    _expire(subject.row, now)
    if (standing := _standing(subject.row)) is not None:
        raise Conflict(
            "declaration_exists",
            _("%(name)s has asked for this already; another officer confirms it.")
            % {"name": standing.requested_by_name},
            remedy=_("Confirm or withdraw what stands."),
        )
    assert actor.person_id is not None
    declaration = LossDeclaration.objects.create(
        process=subject.row,
        reason=reason,
        requested_at=now,
        requested_by_id=actor.person_id,
        requested_by_name=actor.name[:200],
        expires_at=now + TERM,
        waiting_micro_won=subject.micro_won,
    )
    _record(actor, declaration, "gateway.loss_requested", waiting_micro_won=subject.micro_won)
    return declaration


def _return_escrow(actor: Actor, subjects: list[_Subject], declarations: list[LossDeclaration]) -> None:
    """Money and mark together. The processes' rows are locked, so none leases or posts meanwhile."""
    by_process = {one.process_id: one for one in declarations}
    ids = list(by_process)
    returned = money.correct_escrow(
        counterpart_ids=ids,
        memo=f"gateway {subjects[0].row.node} declared lost: {declarations[0].reason}" if subjects else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE settlement_gatewayprocess SET lost_at = clock_timestamp() WHERE id = ANY(%s)", [ids]
        )
    LostEscrow.objects.bulk_create(
        LostEscrow(process_id=process_id, award_id=award_id, returned_micro_won=micro_won)
        for (process_id, award_id), micro_won in returned.items()
    )
    for (process_id, award_id), micro_won in sorted(returned.items()):
        declaration = by_process[process_id]
        declaration.returned_micro_won += micro_won
        audit.record(
            actor=actor,
            action="award.escrow_corrected",
            subject_kind="award",
            subject_id=award_id,
            after={
                "returned_micro_won": micro_won,
                "process": str(process_id),
                "node": declaration.process.node,
                "reason": declaration.reason,
            },
        )


def _tell(occasion: notices.Occasion, subjects: list[_Subject], declarations: list[LossDeclaration]) -> None:
    agencies = {agency for subject in subjects for agency in subject.agencies}
    holdings = [holding for subject in subjects for holding in subject.holdings]
    if declarations:
        notices.loss(occasion, declarations, agencies=agencies, holdings=holdings)


def _record(actor: Actor, declaration: LossDeclaration, action: str, **after: int) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="gateway_process",
        subject_id=declaration.process_id,
        after={
            "node": declaration.process.node,
            "declaration": str(declaration.pk),
            "reason": declaration.reason,
            **after,
        },
    )
