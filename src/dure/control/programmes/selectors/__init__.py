"""Questions about programmes, awards and support: what was decided, and what the ledger says is left."""

from dure.control.programmes.selectors.awards import (
    PAGE_SIZES,
    award,
    award_names,
    award_timeline,
    award_views,
    awards,
    keys_with_use,
)
from dure.control.programmes.selectors.programmes import (
    appropriations,
    home_totals,
    may_grant,
    programme,
    programme_choices,
    programmes,
)
from dure.control.programmes.selectors.support import (
    open_awards_count,
    own_contribution_bp,
    support_received,
)
from dure.control.programmes.selectors.values import (
    AppropriationView,
    AwardPage,
    AwardSums,
    AwardView,
    HomeTotals,
    KeyUse,
    ProgrammeRef,
    ProgrammeView,
)

__all__ = [
    "PAGE_SIZES",
    "AppropriationView",
    "AwardPage",
    "AwardSums",
    "AwardView",
    "HomeTotals",
    "KeyUse",
    "ProgrammeRef",
    "ProgrammeView",
    "appropriations",
    "award",
    "award_names",
    "award_timeline",
    "award_views",
    "awards",
    "home_totals",
    "keys_with_use",
    "may_grant",
    "open_awards_count",
    "own_contribution_bp",
    "programme",
    "programme_choices",
    "programmes",
    "support_received",
]
