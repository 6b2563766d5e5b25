-- The only writer of transfers and account totals.
--
-- The book's row is locked first, so transfers of one book happen one after another: the chain has
-- one order, account rows are never locked in two orders, and no deadlock can arise inside a book.
-- A caller that touches several books in one transaction locks them first, by ledger_lock_books.
--
-- Results: created, exists, exists_with_different_accounts, exists_with_different_amount,
-- exists_with_different_kind, account_not_found, accounts_in_different_books,
-- accounts_of_different_units, accounts_must_differ, amount_must_be_positive, exceeds_credits,
-- exceeds_debits, transfer_to_correct_not_found, correction_must_reverse_accounts,
-- exceeds_corrected_amount.
CREATE FUNCTION ledger_post(
    p_id uuid, p_debit bigint, p_credit bigint, p_amount bigint,
    p_kind text, p_memo text DEFAULT '', p_corrects uuid DEFAULT NULL
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_debit ledger_account;
    v_credit ledger_account;
    v_sequence bigint;
    v_previous bytea;
    v_hash bytea;
    v_now timestamptz;
    v_found ledger_transfer;
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 THEN RETURN 'amount_must_be_positive'; END IF;
    IF p_debit = p_credit THEN RETURN 'accounts_must_differ'; END IF;

    SELECT * INTO v_debit FROM ledger_account WHERE id = p_debit;
    SELECT * INTO v_credit FROM ledger_account WHERE id = p_credit;
    IF v_debit.id IS NULL OR v_credit.id IS NULL THEN RETURN 'account_not_found'; END IF;
    IF v_debit.book_id <> v_credit.book_id THEN RETURN 'accounts_in_different_books'; END IF;
    IF v_debit.unit <> v_credit.unit THEN RETURN 'accounts_of_different_units'; END IF;

    SELECT head_sequence + 1, head_hash INTO v_sequence, v_previous
    FROM ledger_book WHERE id = v_debit.book_id FOR NO KEY UPDATE;

    SELECT * INTO v_found FROM ledger_transfer WHERE id = p_id;
    IF FOUND THEN
        IF v_found.debit_account_id <> p_debit OR v_found.credit_account_id <> p_credit
            THEN RETURN 'exists_with_different_accounts';
        ELSIF v_found.amount <> p_amount THEN RETURN 'exists_with_different_amount';
        ELSIF v_found.kind <> p_kind OR v_found.corrects_id IS DISTINCT FROM p_corrects
            THEN RETURN 'exists_with_different_kind';
        END IF;
        RETURN 'exists';
    END IF;

    IF p_corrects IS NOT NULL THEN
        SELECT * INTO v_found FROM ledger_transfer WHERE id = p_corrects;
        IF NOT FOUND THEN RETURN 'transfer_to_correct_not_found'; END IF;
        IF v_found.debit_account_id <> p_credit OR v_found.credit_account_id <> p_debit
            THEN RETURN 'correction_must_reverse_accounts'; END IF;
        IF p_amount + (SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE corrects_id = p_corrects)
            > v_found.amount THEN RETURN 'exceeds_corrected_amount'; END IF;
    END IF;

    -- Read again under the lock: what was read before it may have moved meanwhile.
    SELECT * INTO v_debit FROM ledger_account WHERE id = p_debit FOR NO KEY UPDATE;
    SELECT * INTO v_credit FROM ledger_account WHERE id = p_credit FOR NO KEY UPDATE;
    IF v_debit.kind <> 'treasury' AND v_debit.credits_posted - v_debit.debits_posted < p_amount
        THEN RETURN 'exceeds_credits'; END IF;
    IF v_credit.kind = 'treasury' AND v_credit.debits_posted - v_credit.credits_posted < p_amount
        THEN RETURN 'exceeds_debits'; END IF;

    v_now := clock_timestamp();
    v_hash := sha256(v_previous || convert_to(concat_ws('|',
        p_id, v_debit.book_id, v_sequence, p_debit, p_credit, v_debit.unit, p_amount, p_kind,
        coalesce(p_corrects::text, ''), (extract(epoch FROM v_now) * 1000000)::bigint, coalesce(p_memo, '')
    ), 'UTF8'));
    INSERT INTO ledger_transfer (id, book_id, sequence, debit_account_id, credit_account_id, amount, kind,
                                 memo, corrects_id, created_at, previous_hash, hash)
    VALUES (p_id, v_debit.book_id, v_sequence, p_debit, p_credit, p_amount, p_kind,
            coalesce(p_memo, ''), p_corrects, v_now, v_previous, v_hash);
    UPDATE ledger_account SET debits_posted = debits_posted + p_amount WHERE id = p_debit;
    UPDATE ledger_account SET credits_posted = credits_posted + p_amount WHERE id = p_credit;
    UPDATE ledger_book SET head_sequence = v_sequence, head_hash = v_hash WHERE id = v_debit.book_id;
    RETURN 'created';
END $$;

-- Many plain transfers of one book at once, all or none: what `ledger_post` does one by one, with the book's
-- row and each account's row written once. The accounts debited must cover the whole batch from what they
-- hold before it. Raises on any refusal, naming it as `ledger_post` would.
CREATE FUNCTION ledger_post_batch(
    p_book uuid, p_ids uuid[], p_debits bigint[], p_credits bigint[], p_amounts bigint[], p_kind text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_sequence bigint;
    v_previous bytea;
    v_units text[];
    v_hashes bytea[] := '{}';
    v_befores bytea[] := '{}';
    v_now timestamptz;
    v_now_us bigint;
    v_refusal text;
BEGIN
    SELECT head_sequence, head_hash INTO v_sequence, v_previous
    FROM ledger_book WHERE id = p_book FOR NO KEY UPDATE;

    WITH lines AS (
        SELECT * FROM unnest(p_debits, p_credits, p_amounts) WITH ORDINALITY AS l(debit, credit, amount, n)
    ), checked AS (
        SELECT l.n, d.unit, CASE
            WHEN l.amount IS NULL OR l.amount <= 0 THEN 'amount_must_be_positive'
            WHEN d.id IS NULL OR c.id IS NULL THEN 'account_not_found'
            WHEN d.id = c.id THEN 'accounts_must_differ'
            WHEN d.book_id <> p_book OR c.book_id <> p_book THEN 'accounts_in_different_books'
            WHEN d.unit <> c.unit THEN 'accounts_of_different_units'
            WHEN d.kind = 'treasury' OR c.kind = 'treasury' THEN 'account_not_found'
            WHEN sum(l.amount) OVER (PARTITION BY l.debit) > d.credits_posted - d.debits_posted
                THEN 'exceeds_credits'
            END AS refusal
        FROM lines l
        LEFT JOIN ledger_account d ON d.id = l.debit
        LEFT JOIN ledger_account c ON c.id = l.credit
    )
    SELECT array_agg(unit ORDER BY n), min(refusal) INTO v_units, v_refusal FROM checked;
    IF v_refusal IS NOT NULL THEN
        RAISE EXCEPTION 'batch of % transfers in book %: %', p_kind, p_book, v_refusal USING ERRCODE = 'data_exception';
    END IF;

    v_now := clock_timestamp();
    v_now_us := (extract(epoch FROM v_now) * 1000000)::bigint;
    FOR i IN 1..coalesce(array_length(p_ids, 1), 0) LOOP
        v_befores[i] := v_previous;
        v_previous := sha256(v_previous || convert_to(concat_ws('|',
            p_ids[i], p_book, v_sequence + i, p_debits[i], p_credits[i], v_units[i], p_amounts[i], p_kind,
            '', v_now_us, ''), 'UTF8'));
        v_hashes[i] := v_previous;
    END LOOP;
    INSERT INTO ledger_transfer (id, book_id, sequence, debit_account_id, credit_account_id, amount, kind,
                                 memo, corrects_id, created_at, previous_hash, hash)
    SELECT l.id, p_book, v_sequence + l.n, l.debit, l.credit, l.amount, p_kind, '', NULL, v_now, l.before, l.hash
    FROM unnest(p_ids, p_debits, p_credits, p_amounts, v_befores, v_hashes)
        WITH ORDINALITY AS l(id, debit, credit, amount, before, hash, n);
    UPDATE ledger_account a SET debits_posted = a.debits_posted + t.debits,
                                credits_posted = a.credits_posted + t.credits
    FROM (
        SELECT account, sum(debit)::bigint AS debits, sum(credit)::bigint AS credits FROM (
            SELECT account, amount AS debit, 0 AS credit FROM unnest(p_debits, p_amounts) AS d(account, amount)
            UNION ALL
            SELECT account, 0, amount FROM unnest(p_credits, p_amounts) AS c(account, amount)
        ) both_sides GROUP BY account
    ) t WHERE a.id = t.account;
    UPDATE ledger_book SET head_sequence = v_sequence + coalesce(array_length(p_ids, 1), 0), head_hash = v_previous
    WHERE id = p_book;
END $$;

CREATE FUNCTION ledger_lock_books(p_books uuid[]) RETURNS void LANGUAGE sql AS $$
    SELECT id FROM ledger_book WHERE id = ANY (p_books) ORDER BY id FOR NO KEY UPDATE;
$$;

-- An account that is opened twice is the same account.
CREATE FUNCTION ledger_open_account(
    p_book uuid, p_kind text, p_unit text, p_owner uuid, p_counterpart uuid DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint;
BEGIN
    SELECT id INTO v_id FROM ledger_account
    WHERE book_id = p_book AND kind = p_kind AND unit = p_unit AND owner_id = p_owner
      AND counterpart_id IS NOT DISTINCT FROM p_counterpart;
    IF FOUND THEN RETURN v_id; END IF;
    INSERT INTO ledger_account (book_id, kind, unit, owner_id, counterpart_id,
                                debits_posted, credits_posted, created_at)
    VALUES (p_book, p_kind, p_unit, p_owner, p_counterpart, 0, 0, clock_timestamp())
    ON CONFLICT DO NOTHING RETURNING id INTO v_id;
    IF v_id IS NULL THEN
        SELECT id INTO v_id FROM ledger_account
        WHERE book_id = p_book AND kind = p_kind AND unit = p_unit AND owner_id = p_owner
          AND counterpart_id IS NOT DISTINCT FROM p_counterpart;
    END IF;
    RETURN v_id;
END $$;

-- Accounts and books only ever grow; what names them never changes, and none is removed.
CREATE FUNCTION ledger_guard_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.id, NEW.book_id, NEW.kind, NEW.unit, NEW.owner_id, NEW.counterpart_id, NEW.created_at)
           IS DISTINCT FROM (OLD.id, OLD.book_id, OLD.kind, OLD.unit, OLD.owner_id, OLD.counterpart_id, OLD.created_at)
       OR NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted THEN
        RAISE EXCEPTION 'ledger_account: totals only grow and nothing else changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_guard_account BEFORE UPDATE OR DELETE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_guard_account();

CREATE FUNCTION ledger_guard_book() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.id <> OLD.id OR NEW.created_at <> OLD.created_at
       OR NEW.head_sequence < OLD.head_sequence THEN
        RAISE EXCEPTION 'ledger_book: the head only moves forward' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_guard_book BEFORE UPDATE OR DELETE ON ledger_book
    FOR EACH ROW EXECUTE FUNCTION ledger_guard_book();
