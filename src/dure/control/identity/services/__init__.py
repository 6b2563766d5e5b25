"""Verbs of identity: organisations, people, memberships, personal access tokens."""

from dure.control.identity.services.founding import change_profile, found_organisation, slug_proposal
from dure.control.identity.services.organisations import add_membership, add_organisation
from dure.control.identity.services.ownership import (
    ask_link_end,
    confirm_link,
    declare_link,
    end_link,
    refuse_link,
    withdraw_link,
)
from dure.control.identity.services.people import add_person, set_password, update_profile
from dure.control.identity.services.tokens import MAX_TOKENS, TOKEN_PREFIX, issue_token, revoke_token
from dure.control.identity.services.verification import (
    ask_verification,
    refuse_verification,
    verify_organisation,
)

__all__ = [
    "MAX_TOKENS",
    "TOKEN_PREFIX",
    "add_membership",
    "add_organisation",
    "add_person",
    "ask_link_end",
    "ask_verification",
    "change_profile",
    "confirm_link",
    "declare_link",
    "end_link",
    "found_organisation",
    "issue_token",
    "refuse_link",
    "refuse_verification",
    "revoke_token",
    "set_password",
    "slug_proposal",
    "update_profile",
    "verify_organisation",
    "withdraw_link",
]
