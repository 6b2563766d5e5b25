-- The doors of `dure.contracts.gateway_api`, and the role that may open them and nothing else.
CREATE SCHEMA IF NOT EXISTS gateway_api;
REVOKE ALL ON SCHEMA gateway_api FROM PUBLIC;

CREATE FUNCTION gateway_api.start_process(p_process uuid, p_node text, p_os_pid integer, p_version text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO settlement_gatewayprocess
        (id, node, os_pid, version, started_at, last_seen_at, posted_sequence, figures)
    VALUES (p_process, p_node, p_os_pid, p_version, now(), now(), 0, '{}')
    ON CONFLICT (id) DO NOTHING;
$$;

CREATE FUNCTION gateway_api.heartbeat(p_process uuid, p_figures text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE settlement_gatewayprocess SET last_seen_at = now(), figures = p_figures::jsonb
    WHERE id = p_process AND finished_at IS NULL;
$$;

CREATE FUNCTION gateway_api.directory_changes(p_since bigint)
RETURNS TABLE (version bigint, kind text, id text, payload text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.version, e.kind, e.entry_id, e.payload FROM foundation_directoryentry e
    WHERE e.version > p_since ORDER BY e.version;
$$;

-- The slice: what the request needs, or 64 times that while it is at most an eighth of what the award
-- has left. So a busy award asks seldom, and slices shrink as the award empties.
CREATE FUNCTION gateway_api.lease(p_process uuid, p_award uuid, p_transfer uuid, p_needed bigint)
RETURNS TABLE (granted bigint, award_left bigint, escrow_elsewhere bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_award ledger_account;
    v_escrow bigint;
    v_result text;
BEGIN
    PERFORM 1 FROM settlement_gatewayprocess WHERE id = p_process AND finished_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown or finished gateway process %', p_process USING ERRCODE = 'no_data_found';
    END IF;
    granted := 0; award_left := 0; escrow_elsewhere := 0;
    SELECT * INTO v_award FROM ledger_account WHERE owner_id = p_award AND kind = 'award' AND unit = 'KRW';
    IF NOT FOUND THEN RETURN NEXT; RETURN; END IF;

    PERFORM ledger_lock_books(ARRAY[v_award.book_id]);
    SELECT amount INTO granted FROM ledger_transfer WHERE id = p_transfer;
    granted := coalesce(granted, 0);
    SELECT credits_posted - debits_posted INTO award_left FROM ledger_account WHERE id = v_award.id;
    IF granted = 0 AND p_needed > 0 AND p_needed <= award_left AND EXISTS (
        SELECT FROM foundation_directoryentry e
        WHERE e.kind = 'award' AND e.entry_id = p_award::text AND e.payload IS NOT NULL
    ) THEN
        granted := least(award_left, greatest(p_needed, least(award_left / 8, p_needed * 64)));
        v_escrow := ledger_open_account(v_award.book_id, 'escrow', 'KRW', p_award, p_process);
        v_result := ledger_post(p_transfer, v_award.id, v_escrow, granted, 'lease');
        IF v_result <> 'created' THEN
            RAISE EXCEPTION 'lease of % for award %: %', granted, p_award, v_result;
        END IF;
        award_left := award_left - granted;
    END IF;
    SELECT coalesce(sum(a.credits_posted - a.debits_posted), 0) INTO escrow_elsewhere
    FROM ledger_account a
    JOIN settlement_gatewayprocess p ON p.id = a.counterpart_id AND p.finished_at IS NULL
    WHERE a.owner_id = p_award AND a.kind = 'escrow' AND a.unit = 'KRW' AND a.counterpart_id <> p_process;
    RETURN NEXT;
END $$;

CREATE FUNCTION gateway_api.give_back(p_process uuid, p_award uuid, p_transfer uuid, p_amount bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_escrow ledger_account;
    v_award bigint;
    v_result text;
BEGIN
    SELECT * INTO v_escrow FROM ledger_account
    WHERE owner_id = p_award AND counterpart_id = p_process AND kind = 'escrow' AND unit = 'KRW';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'process % holds no escrow of award %', p_process, p_award USING ERRCODE = 'no_data_found';
    END IF;
    SELECT id INTO v_award FROM ledger_account
    WHERE book_id = v_escrow.book_id AND owner_id = p_award AND kind = 'award' AND unit = 'KRW';
    v_result := ledger_post(p_transfer, v_escrow.id, v_award, p_amount, 'give_back');
    IF v_result NOT IN ('created', 'exists') THEN
        RAISE EXCEPTION 'give-back of % for award %: %', p_amount, p_award, v_result;
    END IF;
END $$;

CREATE FUNCTION gateway_api.recall(p_award uuid)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT pg_notify('dure_recall', p_award::text);
$$;

CREATE FUNCTION gateway_api.posted_sequence(p_process uuid)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT posted_sequence FROM settlement_gatewayprocess WHERE id = p_process;
$$;

-- One batch: records, days' totals, escrow → payable and the mark, in one transaction. The transfer's id
-- follows from the batch, so a record can name it before it is posted.
CREATE FUNCTION gateway_api.post_usage(p_process uuid, p_after bigint, p_up_to bigint, p_records text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_mark bigint;
    v_finished timestamptz;
    v_count bigint;
    v_least bigint;
    v_most bigint;
    v_sums jsonb;
    v_line record;
BEGIN
    SELECT posted_sequence, finished_at INTO v_mark, v_finished
    FROM settlement_gatewayprocess WHERE id = p_process FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown gateway process %', p_process USING ERRCODE = 'no_data_found';
    END IF;
    IF v_mark <> p_after OR p_up_to <= p_after THEN RETURN v_mark; END IF;
    IF v_finished IS NOT NULL THEN
        RAISE EXCEPTION 'gateway process % is finished: its usage is closed', p_process;
    END IF;

    WITH incoming AS (
        SELECT * FROM json_to_recordset(p_records::json) AS r(
            request_id uuid, sequence bigint, award uuid, key uuid, model text, deployment uuid, provider uuid,
            price uuid, endpoint text, status text, http_status integer, streamed boolean, estimated boolean,
            input_tokens bigint, output_tokens bigint, cached_tokens bigint, cost_micro_won bigint,
            opened_at bigint, closed_at bigint, first_byte_at bigint, uncovered_micro_won bigint,
            error_code text, attempts integer)
    ), posted AS (
        INSERT INTO settlement_usagerecord (
            request_id, closed_at, opened_at, first_byte_at, process_id, sequence, award_id, key_id, model,
            deployment_id, provider_id, price_id, endpoint, status, http_status, streamed, estimated,
            input_tokens, output_tokens, cached_tokens, cost_micro_won, uncovered_micro_won, attempts,
            error_code, transfer_id)
        SELECT request_id, to_timestamp(closed_at / 1e6::float8), to_timestamp(opened_at / 1e6::float8),
            to_timestamp(first_byte_at / 1e6::float8), p_process, sequence, award, key, model, deployment, provider,
            price, endpoint, status, http_status, streamed, estimated, input_tokens, output_tokens,
            cached_tokens, cost_micro_won, coalesce(uncovered_micro_won, 0), coalesce(attempts, 1),
            coalesce(error_code, ''),
            CASE WHEN cost_micro_won > 0
                THEN md5(concat_ws('|', p_process, p_up_to, award, provider))::uuid END
        FROM incoming
        RETURNING sequence, (closed_at AT TIME ZONE 'Asia/Seoul')::date AS day, award_id, key_id, model,
            deployment_id, status, provider_id, input_tokens, output_tokens, cached_tokens, cost_micro_won,
            closed_at
    ), days AS (
        SELECT day, award_id, key_id, model, deployment_id, status, provider_id, count(*) AS calls,
            min(sequence) AS least, max(sequence) AS most, sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
            sum(cost_micro_won) AS cost_micro_won, max(closed_at) AS last_closed_at
        FROM posted GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT coalesce(sum(calls), 0), min(least), max(most), jsonb_agg(to_jsonb(days))
    INTO v_count, v_least, v_most, v_sums FROM days;
    IF v_count <> p_up_to - p_after OR v_least <> p_after + 1 OR v_most <> p_up_to THEN
        RAISE EXCEPTION 'usage of process %: expected sequences % to %, got % records from % to %',
            p_process, p_after + 1, p_up_to, v_count, v_least, v_most USING ERRCODE = 'data_exception';
    END IF;

    -- Books in the order of their ids: two shippers never wait for each other in a circle.
    PERFORM ledger_lock_books(ARRAY(
        SELECT DISTINCT a.book_id FROM jsonb_to_recordset(v_sums) AS s(award_id uuid)
        JOIN ledger_account a ON a.owner_id = s.award_id AND a.kind = 'award' AND a.unit = 'KRW'));
    FOR v_line IN
        SELECT s.book_id, array_agg(s.id) AS ids, array_agg(s.escrow) AS debits,
            array_agg(s.payable) AS credits, array_agg(s.cost) AS amounts
        FROM (
            SELECT md5(concat_ws('|', p_process, p_up_to, sums.award_id, sums.provider_id))::uuid AS id, sums.cost,
                e.book_id, e.id AS escrow, p.payable
            FROM (
                SELECT award_id, provider_id, sum(cost_micro_won)::bigint AS cost
                FROM jsonb_to_recordset(v_sums) AS s(award_id uuid, provider_id uuid, cost_micro_won numeric)
                GROUP BY award_id, provider_id HAVING sum(cost_micro_won) > 0
            ) sums
            LEFT JOIN ledger_account e ON e.owner_id = sums.award_id AND e.counterpart_id = p_process
                AND e.kind = 'escrow' AND e.unit = 'KRW'
            CROSS JOIN LATERAL (
                SELECT CASE WHEN e.id IS NOT NULL
                    THEN ledger_open_account(e.book_id, 'payable', 'KRW', sums.provider_id) END AS payable
            ) p
            ORDER BY sums.award_id, sums.provider_id
        ) s GROUP BY s.book_id ORDER BY s.book_id
    LOOP
        IF v_line.book_id IS NULL THEN
            RAISE EXCEPTION 'usage of process %: it holds no escrow of an award it spends', p_process
                USING ERRCODE = 'data_exception';
        END IF;
        PERFORM ledger_post_batch(
            v_line.book_id, v_line.ids, v_line.debits, v_line.credits, v_line.amounts, 'usage');
    END LOOP;

    INSERT INTO settlement_usageday AS d (day, award_id, key_id, model, deployment_id, status, provider_id,
        calls, input_tokens, output_tokens, cached_tokens, cost_micro_won, last_closed_at)
    SELECT s.day, s.award_id, s.key_id, s.model, s.deployment_id, s.status, s.provider_id, s.calls,
        s.input_tokens, s.output_tokens, s.cached_tokens, s.cost_micro_won, s.last_closed_at
    FROM jsonb_to_recordset(v_sums) AS s(day date, award_id uuid, key_id uuid, model text, deployment_id uuid,
        status text, provider_id uuid, calls bigint, input_tokens bigint, output_tokens bigint,
        cached_tokens bigint, cost_micro_won bigint, last_closed_at timestamptz)
    ORDER BY s.day, s.award_id, s.key_id, s.model, s.deployment_id, s.status
    ON CONFLICT (day, award_id, key_id, model, deployment_id, status) DO UPDATE SET
        calls = d.calls + excluded.calls,
        input_tokens = d.input_tokens + excluded.input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        cached_tokens = d.cached_tokens + excluded.cached_tokens,
        cost_micro_won = d.cost_micro_won + excluded.cost_micro_won,
        last_closed_at = greatest(d.last_closed_at, excluded.last_closed_at);

    UPDATE settlement_gatewayprocess SET posted_sequence = p_up_to WHERE id = p_process;
    RETURN p_up_to;
END $$;

CREATE FUNCTION gateway_api.finish_process(p_process uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_line record;
    v_result text;
BEGIN
    PERFORM 1 FROM settlement_gatewayprocess WHERE id = p_process AND finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    PERFORM ledger_lock_books(ARRAY(SELECT DISTINCT book_id FROM ledger_account
        WHERE counterpart_id = p_process AND kind = 'escrow'));
    FOR v_line IN
        SELECT e.id AS escrow, a.id AS award, e.credits_posted - e.debits_posted AS balance
        FROM ledger_account e
        JOIN ledger_account a ON a.book_id = e.book_id AND a.owner_id = e.owner_id AND a.kind = 'award'
            AND a.unit = e.unit
        WHERE e.counterpart_id = p_process AND e.kind = 'escrow' AND e.credits_posted > e.debits_posted
        ORDER BY e.id
    LOOP
        v_result := ledger_post(uuidv7(), v_line.escrow, v_line.award, v_line.balance, 'give_back',
            'gateway process finished');
        IF v_result <> 'created' THEN
            RAISE EXCEPTION 'finishing process %: %', p_process, v_result;
        END IF;
    END LOOP;
    UPDATE settlement_gatewayprocess SET finished_at = now(), last_seen_at = now() WHERE id = p_process;
END $$;

DO $$
BEGIN
    -- Roles belong to the whole cluster: another database, or another start at this moment, may have made it.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        CREATE ROLE dure_gateway LOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'Role dure_gateway is missing and may not be created here: create it, then grant it gateway_api.';
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gateway_api FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION ledger_post, ledger_post_batch, ledger_open_account, ledger_lock_books,
    settlement_ensure_partitions FROM PUBLIC;
DO $$
BEGIN
    -- PostgreSQL lets everybody make temporary tables; the gateway's role has no use for them.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        GRANT USAGE ON SCHEMA gateway_api TO dure_gateway;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA gateway_api TO dure_gateway;
    END IF;
END $$;
