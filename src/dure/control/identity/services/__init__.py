"""Verbs of identity: people and their tokens; organisations, who acts for them, what they show and how they are connected."""

from dure.control.identity.programme_agencies import ask_whose_programme
from dure.control.identity.services.delegations import delegate, revoke_delegation
from dure.control.identity.services.documents import (
    accept_document,
    add_document,
    refuse_document,
    remind_of_expiry,
    withdraw_document,
)
from dure.control.identity.services.erasure import (
    ask_erasure,
    erase_due,
    erase_person,
    forget_mail,
    withdraw_erasure,
)
from dure.control.identity.services.founding import change_profile, found_organisation, slug_proposal
from dure.control.identity.services.invitations import (
    accept_invitation,
    decline_invitation,
    invite,
    resend_invitation,
    revoke_invitation,
)
from dure.control.identity.services.memberships import add_membership, end_membership
from dure.control.identity.services.organisations import add_organisation
from dure.control.identity.services.ownership import (
    ask_link_end,
    confirm_link,
    declare_link,
    end_link,
    refuse_link,
    withdraw_link,
)
from dure.control.identity.services.people import add_person, set_password, update_profile
from dure.control.identity.services.programme_roles import give_programme_role, take_programme_role
from dure.control.identity.services.registration import (
    confirm_registration,
    forget_unconfirmed,
    register,
    register_verified,
    remember_consent,
    remember_verified,
    send_confirmation,
)
from dure.control.identity.services.second_factors import reset_second_factors
from dure.control.identity.services.sessions import (
    ACTIVITY_EVERY,
    end_other_sessions,
    end_session,
    forget_old,
    forget_session,
    remember_failure,
    remember_sign_in,
    remember_use,
)
from dure.control.identity.services.tokens import MAX_TOKENS, TOKEN_PREFIX, issue_token, revoke_token
from dure.control.identity.services.verification import (
    ask_verification,
    refuse_verification,
    verify_organisation,
)

__all__ = [
    "ACTIVITY_EVERY",
    "MAX_TOKENS",
    "TOKEN_PREFIX",
    "accept_document",
    "accept_invitation",
    "add_document",
    "add_membership",
    "add_organisation",
    "add_person",
    "ask_erasure",
    "ask_link_end",
    "ask_verification",
    "ask_whose_programme",
    "change_profile",
    "confirm_link",
    "confirm_registration",
    "declare_link",
    "decline_invitation",
    "delegate",
    "end_link",
    "end_membership",
    "end_other_sessions",
    "end_session",
    "erase_due",
    "erase_person",
    "forget_mail",
    "forget_old",
    "forget_session",
    "forget_unconfirmed",
    "found_organisation",
    "give_programme_role",
    "invite",
    "issue_token",
    "refuse_document",
    "refuse_link",
    "refuse_verification",
    "register",
    "register_verified",
    "remember_consent",
    "remember_failure",
    "remember_sign_in",
    "remember_use",
    "remember_verified",
    "remind_of_expiry",
    "resend_invitation",
    "reset_second_factors",
    "revoke_delegation",
    "revoke_invitation",
    "revoke_token",
    "send_confirmation",
    "set_password",
    "slug_proposal",
    "take_programme_role",
    "update_profile",
    "verify_organisation",
    "withdraw_document",
    "withdraw_erasure",
    "withdraw_link",
]
