-- What is metered beside the three counts of tokens, and each attempt at a deployment. Null says "nothing", so that
-- the many records without either cost nothing more than before. `_lost_processes.sql` makes the door that writes them.
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
