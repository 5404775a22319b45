-- Returns the number of the last flush of a session that was applied (0: none), and keeps the session.
CREATE FUNCTION last_flush(_ns bigint, _session text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _last bigint;
BEGIN
  PERFORM lazily();
  UPDATE sessions SET seen = now_ms() WHERE ns = _ns AND session = _session RETURNING last INTO _last;
  RETURN coalesce(_last, 0);
END $$;
