-- A gateway process that two officers have declared lost: its escrow went back to the awards as corrections
-- (`settlement.losses`), so it may lease nothing more. What its journal says when it turns up after all is charged
-- to the award directly, and never more than was returned to that award or than it has left (ADR 0009).

-- A process that is finished or declared lost learns of it here, and ends itself.
CREATE OR REPLACE FUNCTION gateway_api.heartbeat(p_process uuid, p_figures text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE settlement_gatewayprocess SET last_seen_at = now(), figures = p_figures::jsonb
    WHERE id = p_process AND finished_at IS NULL AND lost_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'gateway process % is unknown, finished or declared lost', p_process
            USING ERRCODE = 'no_data_found';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION gateway_api.lease(p_process uuid, p_award uuid, p_transfer uuid, p_needed bigint)
RETURNS TABLE (granted bigint, award_left bigint, escrow_elsewhere bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_award ledger_account;
    v_escrow bigint;
    v_result text;
BEGIN
    PERFORM 1 FROM settlement_gatewayprocess WHERE id = p_process AND finished_at IS NULL AND lost_at IS NULL
    FOR KEY SHARE;
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

-- What each late record is charged: in the order of their sequences, as far as the award has it and as far as it
-- was returned to the award from this process. The rest of its cost is written down as uncovered.
CREATE FUNCTION settlement_cover_late_usage(p_process uuid, p_records text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_records text;
BEGIN
    PERFORM ledger_lock_books(ARRAY(
        SELECT DISTINCT a.book_id FROM settlement_lostescrow l
        JOIN ledger_account a ON a.owner_id = l.award_id AND a.kind = 'award' AND a.unit = 'KRW'
        WHERE l.process_id = p_process));
    WITH incoming AS (
        SELECT value AS record, (value ->> 'sequence')::bigint AS sequence, (value ->> 'award')::uuid AS award,
            (value ->> 'cost_micro_won')::bigint AS cost
        FROM jsonb_array_elements(p_records::jsonb)
    ), cover AS (
        SELECT l.award_id, least(l.returned_micro_won - l.charged_micro_won,
                                 a.credits_posted - a.debits_posted) AS available
        FROM settlement_lostescrow l
        JOIN ledger_account a ON a.owner_id = l.award_id AND a.kind = 'award' AND a.unit = 'KRW'
        WHERE l.process_id = p_process
    ), charged AS (
        SELECT i.record, i.sequence, i.award, i.cost, greatest(0, least(i.cost, coalesce(c.available, 0)
            - (sum(i.cost) OVER (PARTITION BY i.award ORDER BY i.sequence) - i.cost)))::bigint AS charge
        FROM incoming i LEFT JOIN cover c ON c.award_id = i.award
    ), kept AS (
        UPDATE settlement_lostescrow l SET charged_micro_won = l.charged_micro_won + s.charge,
            uncovered_micro_won = l.uncovered_micro_won + s.uncovered
        FROM (SELECT award, sum(charge) AS charge, sum(cost - charge) AS uncovered FROM charged GROUP BY award) s
        WHERE l.process_id = p_process AND l.award_id = s.award
    ), unforeseen AS (
        -- Usage of an award of which the process held nothing: none of it is covered.
        INSERT INTO settlement_lostescrow (process_id, award_id, returned_micro_won, charged_micro_won,
                                           uncovered_micro_won)
        SELECT p_process, award, 0, 0, sum(cost) FROM charged c
        WHERE NOT EXISTS (SELECT FROM settlement_lostescrow l WHERE l.process_id = p_process AND l.award_id = c.award)
        GROUP BY award HAVING sum(cost) > 0
    )
    SELECT coalesce(jsonb_agg(CASE WHEN charge = cost THEN record ELSE record || jsonb_build_object(
            'cost_micro_won', charge,
            'uncovered_micro_won', coalesce((record ->> 'uncovered_micro_won')::bigint, 0) + cost - charge,
            'error_code', coalesce(nullif(record ->> 'error_code', ''), 'uncovered_after_loss')
        ) END ORDER BY sequence), '[]')::text
    INTO v_records FROM charged;
    RETURN v_records;
END $$;

-- Award → payable, one transfer per batch, award and provider, as usage of a living process moves from escrow.
CREATE FUNCTION settlement_pay_late_usage(p_process uuid, p_up_to bigint, p_sums jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_line record;
BEGIN
    FOR v_line IN
        SELECT s.book_id, array_agg(s.id) AS ids, array_agg(s.award) AS debits,
            array_agg(s.payable) AS credits, array_agg(s.cost) AS amounts
        FROM (
            SELECT md5(concat_ws('|', p_process, p_up_to, sums.award_id, sums.provider_id))::uuid AS id, sums.cost,
                a.book_id, a.id AS award, ledger_open_account(a.book_id, 'payable', 'KRW', sums.provider_id) AS payable
            FROM (
                SELECT award_id, provider_id, sum(cost_micro_won)::bigint AS cost
                FROM jsonb_to_recordset(p_sums) AS s(award_id uuid, provider_id uuid, cost_micro_won numeric)
                GROUP BY award_id, provider_id HAVING sum(cost_micro_won) > 0
            ) sums
            JOIN ledger_account a ON a.owner_id = sums.award_id AND a.kind = 'award' AND a.unit = 'KRW'
            ORDER BY sums.award_id, sums.provider_id
        ) s GROUP BY s.book_id ORDER BY s.book_id
    LOOP
        PERFORM ledger_post_batch(
            v_line.book_id, v_line.ids, v_line.debits, v_line.credits, v_line.amounts, 'late_usage');
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION settlement_cover_late_usage, settlement_pay_late_usage FROM PUBLIC;

-- As before (`_gateway_api.sql`), with units and tries, and for a process that was declared lost.
CREATE OR REPLACE FUNCTION gateway_api.post_usage(p_process uuid, p_after bigint, p_up_to bigint, p_records text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_mark bigint;
    v_finished timestamptz;
    v_lost timestamptz;
    v_count bigint;
    v_least bigint;
    v_most bigint;
    v_sums jsonb;
    v_line record;
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
    IF v_lost IS NOT NULL THEN
        PERFORM settlement_pay_late_usage(p_process, p_up_to, v_sums);
    ELSE
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
    END IF;

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

-- What settling a process comes to: the escrow it still holds, whether it was declared lost, and what of its late
-- usage was charged and what stayed uncovered. Read before and after, it says what a recovery did.
CREATE FUNCTION gateway_api.process_money(p_process uuid)
RETURNS TABLE (lost boolean, escrow bigint, charged bigint, uncovered bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.lost_at IS NOT NULL,
        (SELECT coalesce(sum(a.credits_posted - a.debits_posted), 0)::bigint FROM ledger_account a
         WHERE a.counterpart_id = p.id AND a.kind = 'escrow'),
        (SELECT coalesce(sum(l.charged_micro_won), 0)::bigint FROM settlement_lostescrow l WHERE l.process_id = p.id),
        (SELECT coalesce(sum(l.uncovered_micro_won), 0)::bigint FROM settlement_lostescrow l WHERE l.process_id = p.id)
    FROM settlement_gatewayprocess p WHERE p.id = p_process;
$$;
REVOKE ALL ON FUNCTION gateway_api.process_money FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        GRANT EXECUTE ON FUNCTION gateway_api.process_money TO dure_gateway;
    END IF;
END $$;
