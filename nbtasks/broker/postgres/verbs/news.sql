-- What a session is told. Whoever reads it takes it away: nothing is read twice, and nothing is passed over that was
-- written later under an earlier number.
--
-- _channel  on which the session is woken when there is news, where there is none now; NULL: it does not wait
CREATE FUNCTION read_news(_ns bigint, _session text, _most bigint, _channel text)
RETURNS TABLE (id bigint, kind text, batch text, first bigint, count bigint, wins text, frame bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM lazily();
  IF _channel IS NOT NULL THEN PERFORM doze(_ns, ARRAY[_session], _channel); END IF;
  RETURN QUERY WITH found AS (
      DELETE FROM news n WHERE n.ns = _ns AND n.session = _session AND n.id IN (
        SELECT o.id FROM news o WHERE o.ns = _ns AND o.session = _session ORDER BY o.id LIMIT _most
      ) RETURNING n.*
    )
    SELECT f.id, f.kind, f.batch, f.first, f.count, f.wins, f.frame FROM found f ORDER BY f.id;
  IF FOUND AND _channel IS NOT NULL THEN DELETE FROM sleepers WHERE channel = _channel; END IF;
END $$;

CREATE FUNCTION drop_news(_ns bigint, _session text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM news WHERE ns = _ns AND session = _session
$$;

CREATE FUNCTION end_session(_ns bigint, _session text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  DELETE FROM news WHERE ns = _ns AND session = _session;
  DELETE FROM sessions WHERE ns = _ns AND session = _session;
  DELETE FROM sleepers WHERE ns = _ns AND place = _session;
END $$;
