-- Whether a client is there with which periodic tasks end; '' is none, and always there. Where the server's clock was set,
-- what was said before counts no more: it is said again every few seconds.
CREATE FUNCTION is_there(_ns bigint, _client text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN _client = '' OR EXISTS (
    SELECT FROM periodic_clients c WHERE c.ns = _ns AND c.client = _client AND abs(now_ms() - c.said) < c.span);
END $$;
