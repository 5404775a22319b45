-- Tell the one beat that is elected which periodic tasks are due.
--
-- _beat  who asks, to be elected for _ms
-- Returns first one row without a periodic task: whether it is elected, NULL where nothing is due; the time, and the next
-- due time (ms). Then each that is due: since when, version of its frame, whether whoever it ends with is there, and since
-- when (ms) that is gone or NULL.
CREATE FUNCTION periodic_due(_ns bigint, _key_id text, _beat text, _ms bigint, _most bigint)
RETURNS TABLE (elected boolean, now bigint, next bigint, id text, due bigint, version text, there boolean, gone bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  SELECT min(t.due) INTO next FROM periodic_tasks t WHERE t.ns = _ns AND t.key_id = _key_id AND t.due IS NOT NULL;
  now := now_ms();
  IF next <= now THEN elected := elect(_ns, 'beat:' || _key_id, _beat, _ms); END IF;
  RETURN NEXT;
  IF elected THEN
    RETURN QUERY SELECT elected, now, next, t.id, t.due, t.version, is_there(_ns, t.client), t.gone FROM periodic_tasks t
      WHERE t.ns = _ns AND t.key_id = _key_id AND t.due <= now ORDER BY t.due LIMIT _most;
  END IF;
END $$;

-- Say that a client is there with which periodic tasks end. Returns when it has said so before, NULL where that is not
-- known, and the time (ms).
--
-- _ms  for which it counts as there; 0: it has gone
CREATE FUNCTION say_there(_ns bigint, _client text, _ms bigint, OUT before bigint, OUT now bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- It is said again every few seconds.
  PERFORM lazily();
  now := now_ms();
  SELECT c.said INTO before FROM periodic_clients c WHERE c.ns = _ns AND c.client = _client;
  IF _ms = 0 THEN
    DELETE FROM periodic_clients c WHERE c.ns = _ns AND c.client = _client;
    RETURN;
  END IF;
  INSERT INTO periodic_clients (ns, client, said, span) VALUES (_ns, _client, now, _ms)
    ON CONFLICT (ns, client) DO UPDATE SET said = excluded.said, span = excluded.span;
END $$;
