"""Verbs of identity: organisations, people, memberships, personal access tokens."""

from dure.control.identity.services.organisations import add_membership, add_organisation
from dure.control.identity.services.people import add_person, set_password, update_profile
from dure.control.identity.services.tokens import MAX_TOKENS, TOKEN_PREFIX, issue_token, revoke_token

__all__ = [
    "MAX_TOKENS",
    "TOKEN_PREFIX",
    "add_membership",
    "add_organisation",
    "add_person",
    "issue_token",
    "revoke_token",
    "set_password",
    "update_profile",
]
