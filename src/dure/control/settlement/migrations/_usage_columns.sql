-- A second door for usage, which takes columns instead of JSON: what records of one key, model and outcome say alike is
-- said once, and the rest comes as arrays in binary. Both doors end in `settlement_book_usage`.

-- What a batch comes to: escrow → payable, the days' totals, and the mark. The days are the batch's own.
CREATE FUNCTION settlement_book_usage(p_process uuid, p_up_to bigint, p_lost boolean, p_days settlement_usageday[])
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_line record;
BEGIN
    -- Books in the order of their ids: two shippers never wait for each other in a circle.
    PERFORM ledger_lock_books(ARRAY(
        SELECT DISTINCT a.book_id FROM (SELECT DISTINCT award_id FROM unnest(p_days)) s
        JOIN ledger_account a ON a.owner_id = s.award_id AND a.kind = 'award' AND a.unit = 'KRW'));
    IF p_lost THEN
        PERFORM settlement_pay_late_usage(p_process, p_up_to, (SELECT jsonb_agg(to_jsonb(d)) FROM unnest(p_days) d));
    ELSE
        FOR v_line IN
            WITH sums AS MATERIALIZED (
                SELECT award_id, provider_id, sum(cost_micro_won)::bigint AS cost
                FROM unnest(p_days) GROUP BY award_id, provider_id HAVING sum(cost_micro_won) > 0
            ), escrows AS MATERIALIZED (
                SELECT s.award_id, s.provider_id, s.cost, e.book_id, e.id AS escrow FROM sums s
                LEFT JOIN ledger_account e ON e.owner_id = s.award_id AND e.counterpart_id = p_process
                    AND e.kind = 'escrow' AND e.unit = 'KRW'
            ), payables AS MATERIALIZED (
                SELECT book_id, provider_id, ledger_open_account(book_id, 'payable', 'KRW', provider_id) AS payable
                FROM (SELECT DISTINCT book_id, provider_id FROM escrows WHERE book_id IS NOT NULL) p
            )
            SELECT e.book_id,
                array_agg(md5(concat_ws('|', p_process, p_up_to, e.award_id, e.provider_id))::uuid ORDER BY e.award_id, e.provider_id) AS ids,
                array_agg(e.escrow ORDER BY e.award_id, e.provider_id) AS debits,
                array_agg(p.payable ORDER BY e.award_id, e.provider_id) AS credits,
                array_agg(e.cost ORDER BY e.award_id, e.provider_id) AS amounts
            FROM escrows e LEFT JOIN payables p USING (book_id, provider_id)
            GROUP BY e.book_id ORDER BY e.book_id
        LOOP
            IF v_line.book_id IS NULL THEN
                RAISE EXCEPTION 'usage of process %: it holds no escrow of an award it spends', p_process
                    USING ERRCODE = 'data_exception';
            END IF;
            PERFORM ledger_post_batch(
                v_line.book_id, v_line.ids, v_line.debits, v_line.credits, v_line.amounts, 'usage');
        END LOOP;
    END IF;

    INSERT INTO settlement_usageday AS d (day, award_id, key_id, model, deployment_id, status, provider_id,
        calls, input_tokens, output_tokens, cached_tokens, cost_micro_won, last_closed_at, units)
    SELECT s.day, s.award_id, s.key_id, s.model, s.deployment_id, s.status, s.provider_id, s.calls,
        s.input_tokens, s.output_tokens, s.cached_tokens, s.cost_micro_won, s.last_closed_at, s.units
    FROM unnest(p_days) s
    ORDER BY s.day, s.award_id, s.key_id, s.model, s.deployment_id, s.status
    ON CONFLICT (day, award_id, key_id, model, deployment_id, status) DO UPDATE SET
        calls = d.calls + excluded.calls,
        input_tokens = d.input_tokens + excluded.input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        cached_tokens = d.cached_tokens + excluded.cached_tokens,
        cost_micro_won = d.cost_micro_won + excluded.cost_micro_won,
        last_closed_at = greatest(d.last_closed_at, excluded.last_closed_at),
        units = settlement_add_units(d.units, excluded.units);

    UPDATE settlement_gatewayprocess SET posted_sequence = p_up_to WHERE id = p_process;
END $$;
REVOKE EXECUTE ON FUNCTION settlement_book_usage FROM PUBLIC;

-- As before (`_lost_processes.sql`): gateways of earlier releases post here, and what does not fit into columns.
CREATE OR REPLACE FUNCTION gateway_api.post_usage(p_process uuid, p_after bigint, p_up_to bigint, p_records text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_mark bigint;
    v_finished timestamptz;
    v_lost timestamptz;
    v_count bigint;
    v_least bigint;
    v_most bigint;
    v_days settlement_usageday[];
BEGIN
    SELECT posted_sequence, finished_at, lost_at INTO v_mark, v_finished, v_lost
    FROM settlement_gatewayprocess WHERE id = p_process FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown gateway process %', p_process USING ERRCODE = 'no_data_found';
    END IF;
    IF v_mark <> p_after OR p_up_to <= p_after THEN RETURN v_mark; END IF;
    IF v_finished IS NOT NULL THEN
        RAISE EXCEPTION 'gateway process % is finished: its usage is closed', p_process;
    END IF;
    IF v_lost IS NOT NULL THEN
        p_records := settlement_cover_late_usage(p_process, p_records);
    END IF;

    WITH incoming AS (
        SELECT * FROM json_to_recordset(p_records::json) AS r(
            request_id uuid, sequence bigint, award uuid, key uuid, model text, deployment uuid, provider uuid,
            price uuid, endpoint text, status text, http_status integer, streamed boolean, estimated boolean,
            input_tokens bigint, output_tokens bigint, cached_tokens bigint, cost_micro_won bigint,
            opened_at bigint, closed_at bigint, first_byte_at bigint, uncovered_micro_won bigint,
            error_code text, attempts integer, units jsonb, tries jsonb)
    ), posted AS (
        INSERT INTO settlement_usagerecord (
            request_id, closed_at, opened_at, first_byte_at, process_id, sequence, award_id, key_id, model,
            deployment_id, provider_id, price_id, endpoint, status, http_status, streamed, estimated,
            input_tokens, output_tokens, cached_tokens, cost_micro_won, uncovered_micro_won, attempts,
            error_code, units, tries, transfer_id)
        SELECT request_id, to_timestamp(closed_at / 1e6::float8), to_timestamp(opened_at / 1e6::float8),
            to_timestamp(first_byte_at / 1e6::float8), p_process, sequence, award, key, model, deployment, provider,
            price, endpoint, status, http_status, streamed, estimated, input_tokens, output_tokens,
            cached_tokens, cost_micro_won, coalesce(uncovered_micro_won, 0), coalesce(attempts, 1),
            coalesce(error_code, ''), units, tries,
            CASE WHEN cost_micro_won > 0
                THEN md5(concat_ws('|', p_process, p_up_to, award, provider))::uuid END
        FROM incoming
        RETURNING sequence, (closed_at AT TIME ZONE 'Asia/Seoul')::date AS day, award_id, key_id, model,
            deployment_id, status, provider_id, input_tokens, output_tokens, cached_tokens, cost_micro_won,
            closed_at, units
    ), unit_days AS (
        -- Few calls count anything but tokens, so this is usually nothing at all.
        SELECT day, award_id, key_id, model, deployment_id, status, jsonb_object_agg(meter, quantity) AS units
        FROM (
            SELECT p.day, p.award_id, p.key_id, p.model, p.deployment_id, p.status, u.key AS meter,
                sum(u.value::bigint) AS quantity
            FROM posted p CROSS JOIN LATERAL jsonb_each_text(p.units) u
            WHERE p.units IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
        ) summed GROUP BY 1, 2, 3, 4, 5, 6
    ), days AS (
        SELECT day, award_id, key_id, model, deployment_id, status, provider_id, count(*) AS calls,
            min(sequence) AS least, max(sequence) AS most, sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
            sum(cost_micro_won) AS cost_micro_won, max(closed_at) AS last_closed_at
        FROM posted GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT coalesce(sum(calls), 0), min(least), max(most), array_agg(ROW(
        day, award_id, key_id, model, deployment_id, status, provider_id, calls, input_tokens, output_tokens,
        cached_tokens, cost_micro_won, last_closed_at, u.units)::settlement_usageday)
    INTO v_count, v_least, v_most, v_days
    FROM days d LEFT JOIN unit_days u USING (day, award_id, key_id, model, deployment_id, status);
    IF v_count <> p_up_to - p_after OR v_least <> p_after + 1 OR v_most <> p_up_to THEN
        RAISE EXCEPTION 'usage of process %: expected sequences % to %, got % records from % to %',
            p_process, p_after + 1, p_up_to, v_count, v_least, v_most USING ERRCODE = 'data_exception';
    END IF;
    PERFORM settlement_book_usage(p_process, p_up_to, v_lost IS NOT NULL, v_days);
    RETURN p_up_to;
END $$;

-- Records `p_after` + 1 to `p_up_to`, one place of each array for each. `p_kind_of` says which line of `p_kinds` it is
-- (JSON: what many records say alike, numbered by `kind`), `p_rest` is JSON of what few records have (by `sequence`).
-- Times are microseconds; -1 for no first byte. Null: the process was declared lost, its usage goes by `post_usage`.
CREATE FUNCTION gateway_api.post_usage_columns(
    p_process uuid, p_after bigint, p_up_to bigint, p_kinds text, p_rest text, p_kind_of integer[], p_request_ids uuid[],
    p_input bigint[], p_output bigint[], p_cached bigint[], p_cost bigint[], p_opened bigint[], p_closed bigint[],
    p_first bigint[])
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET work_mem = '64MB' SET jit = off AS $$
DECLARE
    v_mark bigint;
    v_finished timestamptz;
    v_lost timestamptz;
    v_count bigint;
    v_days settlement_usageday[];
BEGIN
    SELECT posted_sequence, finished_at, lost_at INTO v_mark, v_finished, v_lost
    FROM settlement_gatewayprocess WHERE id = p_process FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown gateway process %', p_process USING ERRCODE = 'no_data_found';
    END IF;
    IF v_mark <> p_after OR p_up_to <= p_after THEN RETURN v_mark; END IF;
    IF v_finished IS NOT NULL THEN
        RAISE EXCEPTION 'gateway process % is finished: its usage is closed', p_process;
    END IF;
    IF v_lost IS NOT NULL THEN RETURN NULL; END IF;
    IF p_up_to - p_after <> ANY (ARRAY[cardinality(p_kind_of), cardinality(p_request_ids), cardinality(p_input),
            cardinality(p_output), cardinality(p_cached), cardinality(p_cost), cardinality(p_opened),
            cardinality(p_closed), cardinality(p_first)]) THEN
        RAISE EXCEPTION 'usage of process %: columns of different lengths', p_process USING ERRCODE = 'data_exception';
    END IF;

    WITH kinds AS MATERIALIZED (
        SELECT k.*, md5(concat_ws('|', p_process, p_up_to, award, provider))::uuid AS transfer
        FROM json_to_recordset(p_kinds::json) AS k(
            kind integer, award uuid, key uuid, model text, deployment uuid, provider uuid, price uuid, endpoint text,
            status text, http_status integer, streamed boolean, estimated boolean, error_code text, attempts integer)
    ), rest AS MATERIALIZED (
        SELECT * FROM json_to_recordset(p_rest::json)
            AS r(sequence bigint, uncovered_micro_won bigint, units jsonb, tries jsonb)
    ), lines AS MATERIALIZED (
        SELECT * FROM unnest(p_kind_of, p_request_ids, p_input, p_output, p_cached, p_cost, p_opened, p_closed, p_first)
            WITH ORDINALITY AS l(kind, request_id, input, output, cached, cost, opened, closed, first, n)
    ), posted AS (
        INSERT INTO settlement_usagerecord (
            request_id, closed_at, opened_at, first_byte_at, process_id, sequence, award_id, key_id, model,
            deployment_id, provider_id, price_id, endpoint, status, http_status, streamed, estimated,
            input_tokens, output_tokens, cached_tokens, cost_micro_won, uncovered_micro_won, attempts,
            error_code, units, tries, transfer_id)
        SELECT l.request_id, to_timestamp(closed / 1e6::float8), to_timestamp(opened / 1e6::float8),
            CASE WHEN first >= 0 THEN to_timestamp(first / 1e6::float8) END, p_process, p_after + l.n, award, key, model,
            deployment, provider, price, endpoint, status, http_status, streamed, estimated, input, output, cached, cost,
            coalesce(uncovered_micro_won, 0), attempts, error_code, units, tries, CASE WHEN cost > 0 THEN transfer END
        FROM lines l JOIN kinds USING (kind) LEFT JOIN rest r ON r.sequence = p_after + l.n
    ), hours AS (
        -- By hour first, which is a number and cheap to compare: no hour lies in two of Seoul's days.
        SELECT kind, closed / 3600000000 AS hour, count(*) AS calls, sum(input) AS input, sum(output) AS output,
            sum(cached) AS cached, sum(cost) AS cost, max(closed) AS closed
        FROM lines GROUP BY 1, 2
    ), days AS (
        SELECT (to_timestamp(hour * 3600) AT TIME ZONE 'Asia/Seoul')::date AS day, award, key, model, deployment, status,
            provider, sum(calls)::bigint AS calls, sum(input)::bigint AS input, sum(output)::bigint AS output,
            sum(cached)::bigint AS cached, sum(cost)::bigint AS cost, max(closed) AS closed
        FROM hours JOIN kinds USING (kind) GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), unit_days AS (
        -- Few calls count anything but tokens, so this is usually nothing at all.
        SELECT day, award, key, model, deployment, status, jsonb_object_agg(meter, quantity) AS units
        FROM (
            SELECT (to_timestamp(l.closed / 3600000000 * 3600) AT TIME ZONE 'Asia/Seoul')::date AS day, k.award, k.key,
                k.model, k.deployment, k.status, u.key AS meter, sum(u.value::bigint) AS quantity
            FROM rest r JOIN lines l ON l.n = r.sequence - p_after JOIN kinds k USING (kind)
            CROSS JOIN LATERAL jsonb_each_text(r.units) u
            WHERE r.units IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
        ) summed GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT coalesce(sum(calls), 0), array_agg(ROW(
        day, award, key, model, deployment, status, provider, calls, input, output, cached, cost,
        to_timestamp(closed / 1e6::float8), u.units)::settlement_usageday)
    INTO v_count, v_days
    FROM days d LEFT JOIN unit_days u USING (day, award, key, model, deployment, status);
    IF v_count <> p_up_to - p_after THEN
        RAISE EXCEPTION 'usage of process %: % records, of which % are of a known kind',
            p_process, p_up_to - p_after, v_count USING ERRCODE = 'data_exception';
    END IF;
    PERFORM settlement_book_usage(p_process, p_up_to, false, v_days);
    RETURN p_up_to;
END $$;
REVOKE ALL ON FUNCTION gateway_api.post_usage_columns FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        GRANT EXECUTE ON FUNCTION gateway_api.post_usage_columns TO dure_gateway;
    END IF;
END $$;
