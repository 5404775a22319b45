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
  _tied text[];
  _keys text[];
BEGIN
  PERFORM closed(_ns, _now);
  SELECT array_agg(b.batch), array_agg(b.batch) FILTER (WHERE b.tied) INTO _gone, _tied FROM (
    SELECT batch, tied FROM batches WHERE ns = _ns AND expires <= _now ORDER BY expires LIMIT _most FOR UPDATE SKIP LOCKED
  ) b;
  IF _gone IS NOT NULL THEN
    DELETE FROM results WHERE ns = _ns AND batch = ANY (_gone);
    DELETE FROM revocations WHERE ns = _ns AND batch = ANY (_gone);
    DELETE FROM own_states WHERE ns = _ns AND batch = ANY (_gone);
    WITH links AS (DELETE FROM batch_blobs WHERE ns = _ns AND batch = ANY (_gone) RETURNING key)
      SELECT array_agg(DISTINCT key) INTO _keys FROM links;
    DELETE FROM blobs b WHERE b.ns = _ns AND b.key = ANY (_keys)
      AND NOT EXISTS (SELECT FROM batch_blobs l WHERE l.ns = _ns AND l.key = b.key);
    IF _tied IS NOT NULL THEN PERFORM untied(_ns, _tied); END IF;
    DELETE FROM batches WHERE ns = _ns AND batch = ANY (_gone);
  END IF;
  RETURN coalesce(array_length(_gone, 1), 0);
END $$;

-- What was noted of batches for workflows goes with them.
CREATE FUNCTION untied(_ns bigint, _batches text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM steps WHERE ns = _ns AND batch = ANY (_batches) ORDER BY batch, workflow FOR UPDATE;
  DELETE FROM steps WHERE ns = _ns AND batch = ANY (_batches);
  DELETE FROM waits WHERE ns = _ns AND before = ANY (_batches);
  DELETE FROM entries WHERE batch = ANY (_batches) AND queue < 0 AND ns = _ns;
END $$;

-- Once an hour: what is left of clients and workers that have gone, functions that nothing needs.
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
  -- A week longer than it counts as there: a client looks whether the server still knows when it has said so.
  DELETE FROM periodic_clients WHERE ns = _ns AND abs(_now - said) >= span + 604800000;
  DELETE FROM rates WHERE ns = _ns AND greatest(next, line) < (_now - 60000) * 1000;
  -- A month: longer than a call waits, most likely.
  DELETE FROM unique_calls WHERE ns = _ns AND greatest(since, until) < _now - 2592000000;
  PERFORM bounded_orders(_ns);
  PERFORM bounded(_ns, 50000, NULL);
  -- Of workflows what was never sent whole, or forgotten while something waited for it.
  DELETE FROM steps s WHERE s.ns = _ns AND CASE WHEN s.entry IS NULL
    THEN NOT EXISTS (SELECT FROM batches b WHERE b.ns = _ns AND b.batch = s.batch)
    ELSE NOT EXISTS (SELECT FROM entries e WHERE e.id = s.entry AND e.due IS NOT NULL) END;
  DELETE FROM waits w WHERE w.ns = _ns AND NOT EXISTS (
    SELECT FROM steps s WHERE s.ns = _ns AND s.batch = w.batch AND s.own);
  DELETE FROM entries e WHERE e.queue < 0 AND e.ns = _ns AND NOT EXISTS (
    SELECT FROM batches b WHERE b.ns = _ns AND b.batch = e.batch);
  -- Locked first, then looked at: whoever submits a batch locks its function, too.
  SELECT array_agg(f.digest) INTO _digests FROM (
    SELECT digest FROM functions WHERE ns = _ns FOR UPDATE SKIP LOCKED
  ) f;
  DELETE FROM functions f WHERE f.ns = _ns AND f.digest = ANY (_digests)
    AND NOT EXISTS (SELECT FROM batches b WHERE b.ns = _ns AND b.function = f.digest)
    AND NOT EXISTS (SELECT FROM periodic_tasks t WHERE t.ns = _ns AND t.function = f.digest);
END $$;

-- Keep what supervisors are told within bounds, as Redis does: each call that is due later leaves a word there.
CREATE FUNCTION bounded_orders(_ns bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM control c WHERE c.ns = _ns AND c.id <= (
    SELECT l.id FROM control l WHERE l.ns = _ns ORDER BY l.id DESC OFFSET 10000 LIMIT 1);
END $$;

-- Keep the stream of events within bounds, and orders. Returns how many entries of the stream were dropped.
CREATE FUNCTION bound_events(_ns bigint, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  PERFORM lazily();
  -- Once a minute: within an hour there could be hundreds of thousands.
  PERFORM bounded_orders(_ns);
  RETURN bounded(_ns, 50000, _most);
END $$;

-- Drop the oldest entries of the stream of events where there are more than so many, or they take more than so many bytes;
-- NULL: whatever they take. Returns how many.
CREATE FUNCTION bounded(_ns bigint, _entries bigint, _bytes bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _gone bigint;
BEGIN
  -- Several who come at once would count what one of them drops.
  PERFORM pg_advisory_xact_lock(1851946101, _ns::int);
  DELETE FROM happened h USING (
    SELECT xid, id, row_number() OVER latest AS place, sum(octet_length(frame) + 50) OVER latest AS bytes
      FROM happened WHERE ns = _ns WINDOW latest AS (ORDER BY xid DESC, id DESC ROWS UNBOUNDED PRECEDING)
  ) o WHERE h.ns = _ns AND h.xid = o.xid AND h.id = o.id AND (o.place > _entries OR o.bytes > _bytes);
  GET DIAGNOSTICS _gone = ROW_COUNT;
  IF _gone > 0 THEN
    INSERT INTO happened_before AS b (ns, dropped) VALUES (_ns, _gone)
      ON CONFLICT (ns) DO UPDATE SET dropped = b.dropped + excluded.dropped;
  END IF;
  RETURN _gone;
END $$;
