"""Addresses of organisations and invitations."""

from django.urls import path

from dure.control.identity.organisation_views import answers, documents, group, members, officers, profile

_one = "organisations/<str:organisation>/"

urlpatterns = [
    path("organisations/", officers.organisations, name="organisations"),
    path("organisations/verifications/", officers.verifications, name="verifications"),
    path("organisations/found/", profile.found, name="organisation_found"),
    path("organisations/own/", profile.own, name="own_organisation"),
    path(_one, profile.organisation, name="organisation"),
    path(f"{_one}edit/", profile.edit, name="organisation_edit"),
    path(f"{_one}verification/ask/", profile.ask_verification, name="verification_ask"),
    path(f"{_one}verification/<str:decision>/", profile.decide_verification, name="verification_decide"),
    path(f"{_one}documents/", documents.documents, name="organisation_documents"),
    path(f"{_one}documents/add/", documents.add_document, name="document_add"),
    path(f"{_one}documents/<uuid:document_id>/", documents.document_file, name="document_file"),
    path(
        f"{_one}documents/<uuid:document_id>/withdraw/", documents.withdraw_document, name="document_withdraw"
    ),
    path(
        f"{_one}documents/<uuid:document_id>/<str:decision>/",
        documents.decide_document,
        name="document_decide",
    ),
    path(f"{_one}group/", group.group, name="organisation_group"),
    path(f"{_one}group/declare/", group.declare_link, name="link_declare"),
    path(f"{_one}group/<uuid:link_id>/<str:decision>/", group.decide_link, name="link_decide"),
    path(f"{_one}members/", members.members, name="organisation_members"),
    path(f"{_one}members/invite/", members.invite, name="invite"),
    path(f"{_one}members/lend/", members.lend, name="lend"),
    path(f"{_one}members/<uuid:person_id>/", members.member, name="member"),
    path(f"{_one}members/<uuid:person_id>/end/", members.end_membership, name="membership_end"),
    path(
        f"{_one}invitations/<uuid:invitation_id>/<str:decision>/",
        members.change_invitation,
        name="invitation_change",
    ),
    path(
        f"{_one}delegations/<uuid:delegation_id>/revoke/", members.revoke_delegation, name="delegation_revoke"
    ),
    path("invitations/<uuid:invitation_id>/answer/", answers.answer, name="invitation_answer"),
    path("invitations/<str:token>/", answers.by_link, name="invitation"),
]
