-- What is metered beside the three counts of tokens, and each attempt at a deployment. Null says "nothing", so that
-- the many records without either cost nothing more than before.
ALTER TABLE settlement_usagerecord ADD COLUMN units jsonb, ADD COLUMN tries jsonb;
ALTER TABLE settlement_usageday ADD COLUMN units jsonb;

CREATE FUNCTION settlement_add_units(p_left jsonb, p_right jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_right IS NULL THEN p_left WHEN p_left IS NULL THEN p_right ELSE (
        SELECT jsonb_object_agg(meter, quantity) FROM (
            SELECT u.key AS meter, sum(u.value::bigint) AS quantity
            FROM (SELECT * FROM jsonb_each_text(p_left) UNION ALL SELECT * FROM jsonb_each_text(p_right)) u
            GROUP BY u.key
        ) summed
    ) END
$$;

-- One batch: records, days' totals, escrow → payable and the mark, in one transaction. The transfer's id
-- follows from the batch, so a record can name it before it is posted.
CREATE OR REPLACE FUNCTION gateway_api.post_usage(p_process uuid, p_after bigint, p_up_to bigint, p_records text)
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
    SELECT coalesce(sum(calls), 0), min(least), max(most), jsonb_agg(to_jsonb(d) || jsonb_build_object('units', u.units))
    INTO v_count, v_least, v_most, v_sums
    FROM days d LEFT JOIN unit_days u USING (day, award_id, key_id, model, deployment_id, status);
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
        calls, input_tokens, output_tokens, cached_tokens, cost_micro_won, last_closed_at, units)
    SELECT s.day, s.award_id, s.key_id, s.model, s.deployment_id, s.status, s.provider_id, s.calls,
        s.input_tokens, s.output_tokens, s.cached_tokens, s.cost_micro_won, s.last_closed_at, s.units
    FROM jsonb_to_recordset(v_sums) AS s(day date, award_id uuid, key_id uuid, model text, deployment_id uuid,
        status text, provider_id uuid, calls bigint, input_tokens bigint, output_tokens bigint,
        cached_tokens bigint, cost_micro_won bigint, last_closed_at timestamptz, units jsonb)
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
    RETURN p_up_to;
END $$;
