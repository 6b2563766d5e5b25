"""Do a programme's decisions and its book agree? Checked at each recount, on the ledger's snapshot.

Every appropriation and every share of an award is one transfer of its amount between its accounts; what was returned, to
sources and to own contributions, is what went back on the ledger; a budget line is committed by exactly its awards.
"""

from django.db import connection

_CHECKS = (
    (
        "appropriation {0}: it and its transfer do not agree",
        """
        SELECT p.id FROM programmes_appropriation p JOIN programmes_funding f ON f.id = p.funding_id
        LEFT JOIN ledger_transfer t ON t.id = p.id
        WHERE (t.kind, t.amount, t.debit_account_id, t.credit_account_id)
            IS DISTINCT FROM ('appropriation', p.amount, f.treasury_account_id, f.account_id)
            OR f.programme_id <> p.programme_id
        LIMIT 1
        """,
    ),
    (
        "share {0} of award {1}: it and its transfer do not agree",
        """
        SELECT s.id, s.award_id FROM programmes_awardshare s
        JOIN programmes_award a ON a.id = s.award_id JOIN programmes_funding f ON f.id = s.funding_id
        LEFT JOIN ledger_transfer t ON t.id = s.transfer_id
        WHERE (t.kind, t.amount, t.debit_account_id, t.credit_account_id)
            IS DISTINCT FROM ('award', s.granted_micro_won, f.account_id, a.account_id)
        LIMIT 1
        """,
    ),
    (
        "award {0}: granted {1} and returned {2} micro-won, its shares come to {3} and {4}",
        """
        SELECT a.id, a.granted_micro_won, a.returned_micro_won, sum(s.granted_micro_won), sum(s.returned_micro_won)
        FROM programmes_award a LEFT JOIN programmes_awardshare s ON s.award_id = a.id
        GROUP BY a.id
        HAVING (a.granted_micro_won, a.returned_micro_won)
            IS DISTINCT FROM (sum(s.granted_micro_won)::bigint, sum(s.returned_micro_won)::bigint)
        LIMIT 1
        """,
    ),
    (
        "award {0}: {1} micro-won are kept as returned to a source, the ledger has {2}",
        """
        SELECT s.award_id, s.returned_micro_won, coalesce(sum(t.amount), 0)
        FROM programmes_awardshare s
        JOIN programmes_award a ON a.id = s.award_id JOIN programmes_funding f ON f.id = s.funding_id
        LEFT JOIN ledger_transfer t ON t.debit_account_id = a.account_id AND t.credit_account_id = f.account_id
            AND t.kind = 'award_return'
        GROUP BY s.id HAVING s.returned_micro_won <> coalesce(sum(t.amount), 0)
        LIMIT 1
        """,
    ),
    (
        "award {0}: own contribution paid {1} and returned {2} micro-won, payments {3}, the ledger {4} and {5}",
        """
        WITH paid AS (
            SELECT award_id, sum(amount_micro_won)::bigint AS amount FROM programmes_ownpayment GROUP BY 1
        ), moved AS (
            SELECT a.id AS award_id,
                coalesce(sum(t.amount) FILTER (WHERE t.kind = 'own_contribution'), 0)::bigint AS came,
                coalesce(sum(t.amount) FILTER (WHERE t.kind = 'own_contribution_return'), 0)::bigint AS went
            FROM ledger_transfer t JOIN programmes_award a ON a.account_id IN (t.debit_account_id, t.credit_account_id)
            WHERE t.kind IN ('own_contribution', 'own_contribution_return') GROUP BY 1
        )
        SELECT a.id, a.own_paid_micro_won, a.own_returned_micro_won, coalesce(p.amount, 0), coalesce(m.came, 0),
            coalesce(m.went, 0)
        FROM programmes_award a LEFT JOIN paid p ON p.award_id = a.id LEFT JOIN moved m ON m.award_id = a.id
        WHERE (a.own_paid_micro_won, a.own_paid_micro_won, a.own_returned_micro_won)
            IS DISTINCT FROM (coalesce(p.amount, 0), coalesce(m.came, 0), coalesce(m.went, 0))
        LIMIT 1
        """,
    ),
    (
        "budget line {0}: {1} is kept as committed, its awards come to {2}",
        """
        SELECT l.id, l.committed, coalesce(sum(a.granted_micro_won - a.returned_micro_won), 0)
        FROM programmes_budgetline l LEFT JOIN programmes_award a ON a.line_id = l.id
        GROUP BY l.id HAVING l.committed <> coalesce(sum(a.granted_micro_won - a.returned_micro_won), 0)
        LIMIT 1
        """,
    ),
)


def first_difference() -> str:
    """The first difference in words, empty where there is none."""
    with connection.cursor() as cursor:
        for words, question in _CHECKS:
            cursor.execute(question)
            if row := cursor.fetchone():
                return words.format(*row)
    return ""
