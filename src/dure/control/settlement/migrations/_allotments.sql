-- What each gateway process has been allotted of the limits of awards and keys: requests and tokens of one
-- minute of this database's clock, and slots for calls that run at one time.
--
-- A process states what it holds and asks for more; its row becomes that plus what is granted. So an answer that
-- was lost does no harm: the next statement puts the row right. `revision` rises with each statement of a
-- process, and one that arrives behind a later one is left aside. Nothing is handed on between minutes: rows of
-- another minute count for nothing.
CREATE TABLE settlement_allotment (
    subject uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('requests', 'tokens', 'slots')),
    process uuid NOT NULL,
    revision bigint NOT NULL,
    minute bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (subject, kind, process)
) WITH (fillfactor = 50);

-- Without the dates, so that a heartbeat changes no index.
CREATE INDEX settlement_process_alive ON settlement_gatewayprocess (id) WHERE finished_at IS NULL;

CREATE FUNCTION gateway_api.allot(
    p_process uuid, p_subject uuid, p_kind text, p_revision bigint, p_minute bigint, p_holding bigint,
    p_limit bigint, p_needed bigint, p_wanted bigint)
RETURNS TABLE (granted bigint, left_over bigint, elsewhere bigint, minute bigint, ends_in_ms bigint, processes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_epoch_ms bigint;
    v_known settlement_allotment;
    v_own bigint;
    v_elsewhere bigint;
    v_minute bigint := 0;
    v_left bigint;
    v_granted bigint := 0;
    v_processes bigint;
    v_ends_in_ms bigint := 0;
BEGIN
    PERFORM 1 FROM settlement_gatewayprocess p WHERE p.id = p_process AND p.finished_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown or finished gateway process %', p_process USING ERRCODE = 'no_data_found';
    END IF;
    -- Nobody waits for the disk: a crash may forget the last half second of allotments, and no money.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtextextended(p_kind || p_subject::text, 7091));
    -- Behind the lock: whoever comes later sees no earlier minute.
    v_now := clock_timestamp();
    IF p_kind <> 'slots' THEN
        v_epoch_ms := floor(extract(epoch FROM v_now) * 1000);
        v_minute := v_epoch_ms / 60000;
        v_ends_in_ms := (v_minute + 1) * 60000 - v_epoch_ms - 1;
    END IF;
    SELECT greatest(1, count(*)) INTO v_processes FROM settlement_gatewayprocess p
    WHERE p.finished_at IS NULL AND p.last_seen_at > v_now - interval '15 seconds';

    SELECT * INTO v_known FROM settlement_allotment a
    WHERE a.subject = p_subject AND a.kind = p_kind AND a.process = p_process;
    IF v_known.revision > p_revision THEN
        RETURN QUERY SELECT 0::bigint, 0::bigint, 0::bigint, v_minute, v_ends_in_ms, v_processes;
        RETURN;
    END IF;
    IF v_known IS NULL THEN
        DELETE FROM settlement_allotment a USING settlement_gatewayprocess p
        WHERE a.subject = p_subject AND a.kind = p_kind AND p.id = a.process AND p.finished_at IS NOT NULL
            AND (p_kind = 'slots' OR a.minute <> v_minute);
    END IF;

    v_own := CASE WHEN p_minute = v_minute THEN p_holding ELSE 0 END;
    IF p_kind = 'slots' THEN
        -- The calls of a process that is finished or silent have ended, or nobody can say.
        SELECT coalesce(sum(a.amount), 0) INTO v_elsewhere
        FROM settlement_allotment a JOIN settlement_gatewayprocess p ON p.id = a.process
        WHERE a.subject = p_subject AND a.kind = p_kind AND a.process <> p_process
            AND p.finished_at IS NULL AND p.last_seen_at > v_now - interval '15 seconds';
    ELSE
        SELECT coalesce(sum(a.amount), 0) INTO v_elsewhere FROM settlement_allotment a
        WHERE a.subject = p_subject AND a.kind = p_kind AND a.process <> p_process AND a.minute = v_minute;
    END IF;
    v_left := greatest(0, p_limit - v_own - v_elsewhere);
    IF p_needed > 0 AND p_needed <= v_left THEN
        -- Slices shrink as the minute's limit is used up, and all that lie idle together stay a small part of it.
        v_granted := least(v_left, greatest(p_needed, p_wanted,
            CASE WHEN p_kind = 'slots' THEN 0 ELSE v_left / (32 * v_processes) END));
    END IF;
    INSERT INTO settlement_allotment AS a (subject, kind, process, revision, minute, amount)
    VALUES (p_subject, p_kind, p_process, p_revision, v_minute, v_own + v_granted)
    ON CONFLICT (subject, kind, process) DO UPDATE
        SET revision = excluded.revision, minute = excluded.minute, amount = excluded.amount;
    RETURN QUERY SELECT v_granted, v_left - v_granted, v_elsewhere, v_minute, v_ends_in_ms, v_processes;
END $$;

CREATE FUNCTION gateway_api.recall_slots(p_subject uuid)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT pg_notify('dure_recall', 'slots:' || p_subject::text);
$$;

REVOKE ALL ON FUNCTION gateway_api.allot, gateway_api.recall_slots FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        GRANT EXECUTE ON FUNCTION gateway_api.allot, gateway_api.recall_slots TO dure_gateway;
    END IF;
END $$;
