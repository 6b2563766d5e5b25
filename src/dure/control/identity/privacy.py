"""What the privacy notice and the erasure of people turn on: its version, and how long things are kept.

The periods are promises of the privacy notice (`templates/identity/privacy.html`, docs/privacy.md).
"""

from datetime import timedelta

#: The day of the notice's text. A new text gets a new version; consents name the one that was read.
NOTICE_VERSION = "2026-11-25"

#: PIPA's Enforcement Decree, art. 43(3), wants a request for erasure answered within ten days.
ERASURE_GRACE = timedelta(days=7)

#: A registration whose address nobody confirms is removed.
UNCONFIRMED_KEPT = timedelta(days=7)

#: Sign-ins, and attempts that failed.
SIGN_INS_KEPT = timedelta(days=365)

#: What was mailed, after it was sent.
MAIL_KEPT = timedelta(days=90)
