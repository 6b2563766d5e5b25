CREATE TABLE settlement_usagerecord (
    request_id uuid NOT NULL,
    closed_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    first_byte_at timestamptz,
    process_id uuid NOT NULL,
    sequence bigint NOT NULL,
    award_id uuid NOT NULL,
    key_id uuid NOT NULL,
    model varchar(120) NOT NULL,
    deployment_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    price_id uuid NOT NULL,
    endpoint varchar(40) NOT NULL,
    status varchar(16) NOT NULL
        CHECK (status IN ('completed', 'cancelled', 'truncated', 'failed', 'interrupted')),
    http_status integer NOT NULL,
    streamed boolean NOT NULL,
    estimated boolean NOT NULL,
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    cached_tokens bigint NOT NULL CHECK (cached_tokens BETWEEN 0 AND input_tokens),
    cost_micro_won bigint NOT NULL CHECK (cost_micro_won >= 0),
    uncovered_micro_won bigint NOT NULL CHECK (uncovered_micro_won >= 0),
    attempts integer NOT NULL,
    error_code varchar(60) NOT NULL,
    transfer_id uuid,
    PRIMARY KEY (request_id, closed_at)
) PARTITION BY RANGE (closed_at);

-- What no month's partition takes (a clock that stepped) is kept here rather than refused.
CREATE TABLE settlement_usagerecord_other PARTITION OF settlement_usagerecord DEFAULT;

-- Months are Seoul's. Called by the worker every day; a month that exists already is left alone.
CREATE FUNCTION settlement_ensure_partitions(p_months_ahead integer DEFAULT 2) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_month timestamp;
    v_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(x'647572650003'::bigint);
    FOR i IN 0..p_months_ahead LOOP
        v_month := date_trunc('month', now() AT TIME ZONE 'Asia/Seoul') + make_interval(months => i);
        v_name := 'settlement_usagerecord_' || to_char(v_month, 'YYYY_MM');
        IF to_regclass(v_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF settlement_usagerecord FOR VALUES FROM (%L) TO (%L)',
                    v_name, v_month AT TIME ZONE 'Asia/Seoul',
                    (v_month + interval '1 month') AT TIME ZONE 'Asia/Seoul');
            EXCEPTION WHEN check_violation THEN
                -- A clock that ran ahead has put records of this month into the default partition; they, and
                -- what follows them, are as safe there.
                RAISE WARNING 'usage records of % stay in the default partition', v_name;
            END;
        END IF;
    END LOOP;
END $$;
SELECT settlement_ensure_partitions(2);
