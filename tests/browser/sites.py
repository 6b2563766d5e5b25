"""Every page of the portal, with who looks at it. A new page belongs here; screenshots and checks follow."""


def pages(seed: dict) -> list[tuple[str, str, str]]:
    """(name, role or "", path)."""
    award, unused, book, key = (
        f"/awards/{seed['busy']}/",
        f"/awards/{seed['unused']}/",
        f"/ledger/{seed['programme']}/",
        seed["key"],
    )
    return [
        ("home-public", "", "/"),
        ("models", "", "/models/"),
        ("model", "", "/models/smollm2-135m-instruct/"),
        ("model-unreachable", "", "/models/nuri-hyper-82b/"),
        ("models-none", "", "/models/?q=nothing-like-this"),
        ("ledger-public", "", "/ledger/"),
        ("book-public", "", book),
        ("sign-in", "", "/account/login/"),
        ("password-reset", "", "/account/password/reset/"),
        ("not-found", "", "/nowhere/"),
        ("home-startup", "startup", "/"),
        ("home-newcomer", "newcomer", "/"),
        ("awards", "startup", "/awards/"),
        ("award", "startup", award),
        ("award-filtered", "startup", award + "?status=failed"),
        ("award-none-match", "startup", award + "?model=none"),
        ("award-unused", "newcomer", unused),
        ("award-viewer", "viewer", award),
        ("key-issue", "startup", award + "keys/issue/"),
        ("key-revoke", "startup", f"{award}keys/{key}/revoke/"),
        ("key-replace", "startup", f"{award}keys/{key}/replace/"),
        ("key-limits", "startup", f"{award}keys/{key}/limits/"),
        ("award-limits", "officer", award + "limits/"),
        ("account", "startup", "/account/"),
        ("notices", "startup", "/notices/"),
        ("notices-unread", "startup", "/notices/?unread=1"),
        ("notices-none", "newcomer", "/notices/"),
        ("verify", "", "/verify/"),
        ("notice-settings", "startup", "/notices/settings/"),
        ("forbidden", "startup", "/operations/"),
        ("home-officer", "officer", "/"),
        ("awards-officer", "officer", "/awards/"),
        ("programmes", "", "/programmes/"),
        ("programmes-none", "", "/programmes/?q=nothing-like-this"),
        ("programme", "", "/programmes/hyperscale-2026/"),
        ("sources", "", "/sources/"),
        ("source", "", "/sources/ai-fund/"),
        ("programme-officer", "officer", "/programmes/hyperscale-2026/"),
        ("programme-found", "officer", "/programmes/new/"),
        ("programme-appropriate", "officer", "/programmes/hyperscale-2026/appropriate/"),
        ("programme-pass-on", "officer", "/programmes/hyperscale-2026/pass-on/"),
        ("programme-line", "officer", "/programmes/hyperscale-2026/lines/api_use/"),
        ("programme-own", "officer", "/programmes/hyperscale-2026/own-contribution/"),
        ("programme-use", "officer", "/programmes/hyperscale-2026/use/"),
        ("programme-grant", "officer", "/programmes/hyperscale-2026/grant/"),
        ("source-add", "officer", "/sources/new/"),
        ("award-officer", "officer", f"/awards/{seed['shared']}/"),
        ("award-own", "officer", f"/awards/{seed['shared']}/own-contribution/"),
        ("award-end", "officer", f"/awards/{seed['shared']}/end/"),
        ("home-provider", "provider", "/"),
        ("earnings", "provider", "/earnings/"),
        ("operations", "operator", "/operations/"),
        ("gateway-silent", "officer", f"/operations/gateways/{seed['silent']}/"),
        ("gateway-asked", "officer", f"/operations/gateways/{seed['asked']}/"),
        ("gateway-running", "auditor", f"/operations/gateways/{seed['running']}/"),
        ("book", "auditor", book),
        ("transfer", "auditor", book + "3/"),
        *_organisations(seed),
    ]


def _organisations(seed: dict) -> list[tuple[str, str, str]]:
    own, asked = "/organisations/saebyeok/", "/organisations/onnuri-robotics/"
    member, link, invitation = seed["member"], seed["link"], seed["invitation"]
    return [
        ("home-unattached", "unattached", "/"),
        ("organisation-found", "unattached", "/organisations/found/"),
        ("invitation", "unattached", f"/invitations/{invitation}/answer/"),
        ("invitation-link", "", f"/invitations/{seed['invitation_token']}/"),
        ("organisation", "startup", own),
        ("organisation-waiting", "founder", asked),
        ("organisation-refused", "partner", "/organisations/maru-data/"),
        ("organisation-unverified", "newcomer", "/organisations/dallae/"),
        ("organisation-edit", "startup", own + "edit/"),
        ("organisation-members", "startup", own + "members/"),
        ("organisation-members-viewer", "viewer", own + "members/"),
        ("organisation-member", "startup", f"{own}members/{member}/"),
        ("organisation-member-end", "startup", f"{own}members/{member}/end/"),
        ("organisation-invite", "startup", own + "members/invite/"),
        ("organisation-lend", "startup", own + "members/lend/"),
        ("organisation-documents", "startup", own + "documents/"),
        ("organisation-documents-none", "newcomer", "/organisations/dallae/documents/"),
        ("organisation-document-add", "startup", own + "documents/add/?kind=sme_certificate"),
        ("organisation-group", "startup", own + "group/"),
        ("organisation-group-none", "newcomer", "/organisations/dallae/group/"),
        ("organisation-link", "startup", own + "group/declare/"),
        ("organisation-link-confirm", "startup", f"{own}group/{link}/confirm/"),
        ("organisation-link-refuse", "startup", f"{own}group/{link}/refuse/"),
        ("organisations", "officer", "/organisations/"),
        ("organisations-none", "officer", "/organisations/?q=nothing-like-this"),
        ("organisation-decide", "officer", asked),
        ("organisation-refuse", "officer", asked + "verification/refuse/"),
        ("organisation-documents-officer", "officer", own + "documents/"),
        ("organisation-group-officer", "officer", own + "group/"),
        ("verifications", "officer", "/organisations/verifications/"),
        ("programme-people", "officer", "/programmes/hyperscale-2026/people/"),
    ]


SEEDED = (
    *("busy", "unused", "programme", "key", "silent", "asked", "running", "shared"),
    *("member", "link", "invitation", "invitation_token"),
)

#: Names alone, for tests to be named by before there is a seed.
NAMES = [name for name, _role, _path in pages(dict.fromkeys(SEEDED, ""))]
