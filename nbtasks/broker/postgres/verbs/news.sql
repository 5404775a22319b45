-- What a session is told, behind some number.
--
-- _channel  on which the session is woken when there is news, where there is none now; NULL: it does not wait
CREATE FUNCTION read_news(_ns bigint, _session text, _after bigint, _most bigint, _channel text)
RETURNS TABLE (id bigint, kind text, batch text, first bigint, count bigint, wins text, frame bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  IF _channel IS NOT NULL THEN
    PERFORM lazily();
    PERFORM doze(_ns, ARRAY[_session], _channel);
  END IF;
  RETURN QUERY SELECT n.id, n.kind, n.batch, n.first, n.count, n.wins, n.frame FROM news n
    WHERE n.ns = _ns AND n.session = _session AND n.id > _after ORDER BY n.id LIMIT _most;
  IF FOUND AND _channel IS NOT NULL THEN DELETE FROM sleepers WHERE channel = _channel; END IF;
END $$;

-- Drop news before some number.
CREATE FUNCTION trim_news(_ns bigint, _session text, _upto bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  PERFORM lazily();
  DELETE FROM news WHERE ns = _ns AND session = _session AND id < _upto;
END $$;

CREATE FUNCTION drop_news(_ns bigint, _session text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  DELETE FROM news WHERE ns = _ns AND session = _session
$$;

CREATE FUNCTION end_session(_ns bigint, _session text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  DELETE FROM news WHERE ns = _ns AND session = _session;
  DELETE FROM listeners WHERE ns = _ns AND session = _session;
  DELETE FROM sessions WHERE ns = _ns AND session = _session;
  DELETE FROM sleepers WHERE ns = _ns AND place = _session;
END $$;
