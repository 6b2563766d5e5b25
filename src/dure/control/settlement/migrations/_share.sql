-- Processes keep the deployments' limits together: how many live, and which of them this one is. One that has not been
-- heard of for ten seconds (five heartbeats) counts as dead, and so does one that is finished.
CREATE FUNCTION gateway_api.share(p_process uuid)
RETURNS TABLE (processes integer, place integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(1, count(*)::integer), (count(*) FILTER (WHERE p.id < p_process))::integer
    FROM settlement_gatewayprocess p
    WHERE p.finished_at IS NULL AND (p.id = p_process OR p.last_seen_at > now() - interval '10 seconds');
$$;

REVOKE ALL ON FUNCTION gateway_api.share FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dure_gateway') THEN
        GRANT EXECUTE ON FUNCTION gateway_api.share TO dure_gateway;
    END IF;
END $$;
