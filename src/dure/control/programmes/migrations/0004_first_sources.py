"""Programmes that are there already: their money came from their agency, and from nowhere else.

Each agency becomes a source (a programme without one becomes a source of its own name), keeps the appropriation account
that its programme has, and every award is one share of it. The trigger that keeps appropriations append-only
is told to look away for the one column that is filled in here, in this transaction alone.
"""

from django.db import migrations

_SQL = """
INSERT INTO programmes_source (id, slug, name_ko, name_en, kind, organisation_id, created_at)
SELECT uuidv7(), o.slug, o.name_ko, o.name_en, 'budget', o.id, min(p.created_at)
FROM programmes_programme p JOIN identity_organisation o ON o.id = p.agency_id GROUP BY o.id
UNION ALL
-- No slug of an agency may be taken by a programme of the same name.
SELECT uuidv7(), CASE WHEN EXISTS (SELECT FROM identity_organisation o WHERE o.slug = p.slug)
        THEN left(p.slug, 50) || '-' || left(p.id::text, 8) ELSE p.slug END,
    p.name_ko, p.name_en, 'other', NULL, p.created_at
FROM programmes_programme p WHERE p.agency_id IS NULL;

INSERT INTO programmes_funding (id, programme_id, source_id, unit, account_id, treasury_account_id, created_at)
SELECT uuidv7(), p.id, s.id, 'KRW', p.appropriation_account_id, p.treasury_account_id, p.created_at
FROM programmes_programme p JOIN programmes_source s ON s.organisation_id = p.agency_id
    OR (p.agency_id IS NULL AND s.organisation_id IS NULL
        AND s.slug IN (p.slug, left(p.slug, 50) || '-' || left(p.id::text, 8)));

SELECT set_config('pgtrigger.ignore', '{pgtrigger_append_only_5f550}', true);
UPDATE programmes_appropriation a SET funding_id = f.id
FROM programmes_funding f WHERE f.programme_id = a.programme_id;
SELECT set_config('pgtrigger.ignore', '{}', true);

INSERT INTO programmes_awardshare
    (id, award_id, funding_id, position, granted_micro_won, returned_micro_won, transfer_id)
SELECT uuidv7(), a.id, f.id, 0, a.granted_micro_won, a.returned_micro_won, a.id
FROM programmes_award a JOIN programmes_funding f ON f.programme_id = a.programme_id;
"""


class Migration(migrations.Migration):
    dependencies = [("programmes", "0003_sources_lines_and_own_contributions")]

    operations = [migrations.RunSQL(_SQL, migrations.RunSQL.noop)]
