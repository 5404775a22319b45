-- Try to be the one supervisor that does a duty for the next ms.
CREATE FUNCTION elect(_ns bigint, _duty text, _worker text, _ms bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
BEGIN
  PERFORM lazily();
  -- One that is held for longer than anybody asks for is held by nobody: a clock was set.
  INSERT INTO elections (ns, duty, worker, until) VALUES (_ns, _duty, _worker, _now + _ms)
    ON CONFLICT (ns, duty) DO UPDATE SET worker = excluded.worker, until = excluded.until
      WHERE elections.worker = excluded.worker OR elections.until < _now OR elections.until > _now + _ms;
  RETURN FOUND;
END $$;

CREATE FUNCTION fact(_ns bigint, _name text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT value FROM facts WHERE ns = _ns AND name = _name
$$;

CREATE FUNCTION note_fact(_ns bigint, _name text, _value text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  INSERT INTO facts (ns, name, value) VALUES (_ns, _name, _value)
    ON CONFLICT (ns, name) DO UPDATE SET value = excluded.value
$$;

-- Remove what has expired, so much at most that nobody waits. Returns how many batches.
CREATE FUNCTION sweep(_ns bigint, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  PERFORM lazily();
  RETURN swept(_ns, _most);
END $$;

CREATE FUNCTION swept(_ns bigint, _most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _now bigint := now_ms();
  _gone text[];
  _keys text[];
BEGIN
  SELECT array_agg(b.batch) INTO _gone FROM (
    SELECT batch FROM batches WHERE ns = _ns AND expires <= _now ORDER BY expires LIMIT _most FOR UPDATE SKIP LOCKED
  ) b;
  IF _gone IS NOT NULL THEN
    DELETE FROM results WHERE ns = _ns AND batch = ANY (_gone);
    DELETE FROM revocations WHERE ns = _ns AND batch = ANY (_gone);
    DELETE FROM own_states WHERE ns = _ns AND batch = ANY (_gone);
    WITH links AS (DELETE FROM batch_blobs WHERE ns = _ns AND batch = ANY (_gone) RETURNING key)
      SELECT array_agg(DISTINCT key) INTO _keys FROM links;
    DELETE FROM blobs b WHERE b.ns = _ns AND b.key = ANY (_keys)
      AND NOT EXISTS (SELECT FROM batch_blobs l WHERE l.ns = _ns AND l.key = b.key);
    DELETE FROM batches WHERE ns = _ns AND batch = ANY (_gone);
  END IF;
  RETURN coalesce(array_length(_gone, 1), 0);
END $$;

-- Once an hour: what is left of clients and workers that have gone, functions that nothing needs, old orders.
--
-- _session  ms for which a session is kept that nobody has seen
CREATE FUNCTION clear_away(_ns bigint, _session bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
  _digests text[];
BEGIN
  PERFORM lazily();
  DELETE FROM sessions WHERE ns = _ns AND seen < _now - _session;
  DELETE FROM news WHERE ns = _ns AND told < _now - 86400000;
  DELETE FROM listeners l WHERE l.ns = _ns AND NOT EXISTS (
    SELECT FROM news n WHERE n.ns = _ns AND n.session = l.session);
  DELETE FROM news n USING listeners l WHERE n.ns = _ns AND l.ns = _ns AND n.session = l.session AND n.id < (
    SELECT o.id FROM news o WHERE o.ns = _ns AND o.session = l.session ORDER BY o.id DESC OFFSET 20000 LIMIT 1);
  DELETE FROM own_states WHERE ns = _ns AND told < _now - 86400000;
  DELETE FROM sleepers WHERE ns = _ns AND since < (_now - 3600000) * 1000;
  DELETE FROM plans WHERE ns = _ns AND expires <= _now;
  DELETE FROM kept_calls WHERE ns = _ns AND expires <= _now;
  DELETE FROM blobs WHERE ns = _ns AND expires <= _now;
  DELETE FROM periodic_clients WHERE ns = _ns AND abs(_now - said) > span;
  DELETE FROM rates WHERE ns = _ns AND greatest(next, line) < (_now - 60000) * 1000;
  -- A month: longer than a call waits, most likely.
  DELETE FROM unique_calls WHERE ns = _ns AND greatest(since, until) < _now - 2592000000;
  DELETE FROM control c WHERE c.ns = _ns AND c.told < _now - 86400000
    AND c.id <= (SELECT max(l.id) - 10000 FROM control l WHERE l.ns = _ns);
  DELETE FROM happened h WHERE h.ns = _ns AND h.id <= (SELECT max(l.id) - 50000 FROM happened l WHERE l.ns = _ns);
  -- Locked first, then looked at: whoever submits a batch locks its function, too.
  SELECT array_agg(f.digest) INTO _digests FROM (
    SELECT digest FROM functions WHERE ns = _ns FOR UPDATE SKIP LOCKED
  ) f;
  DELETE FROM functions f WHERE f.ns = _ns AND f.digest = ANY (_digests)
    AND NOT EXISTS (SELECT FROM batches b WHERE b.ns = _ns AND b.function = f.digest)
    AND NOT EXISTS (SELECT FROM periodic_tasks t WHERE t.ns = _ns AND t.function = f.digest);
END $$;

-- Keep the stream of events within bounds. Returns how many entries were dropped.
CREATE FUNCTION bound_events(_ns bigint, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _gone bigint;
BEGIN
  PERFORM lazily();
  DELETE FROM happened h USING (
    SELECT id, sum(octet_length(frame) + 50) OVER (ORDER BY id DESC) AS bytes FROM happened WHERE ns = _ns
  ) o WHERE h.ns = _ns AND h.id = o.id AND o.bytes > _most;
  GET DIAGNOSTICS _gone = ROW_COUNT;
  RETURN _gone;
END $$;
