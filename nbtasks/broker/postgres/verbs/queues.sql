-- Every address that has had a call or a worker.
CREATE FUNCTION addresses(_ns bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT address FROM queues WHERE ns = _ns ORDER BY address LIMIT 5000
$$;

-- How many entries lie in some lanes of a queue, and how many of them are in hand.
CREATE FUNCTION queue_length(_ns bigint, _address text, _lanes text, OUT all_of_them bigint, OUT in_hand bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT count(*), count(e.holder) FROM queues q JOIN entries e ON e.queue = q.queue
    WHERE q.ns = _ns AND q.address = _address AND e.due IS NULL AND position(lane_of(e.rank) IN _lanes) > 0
$$;

-- Which calls of some batches workers have in hand, of one queue.
CREATE FUNCTION calls_in_hand(_ns bigint, _address text, _batches text[])
RETURNS TABLE (batch text, first bigint, count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT e.batch, e.first, e.count FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE e.batch = ANY (_batches) AND e.holder IS NOT NULL AND q.ns = _ns AND q.address = _address
$$;

-- Which calls of some batches lie in a queue, in any way.
CREATE FUNCTION stock(_ns bigint, _address text, _batches text[])
RETURNS TABLE (batch text, first bigint, count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT e.batch, e.first, e.count FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE e.batch = ANY (_batches) AND q.ns = _ns AND q.address = _address ORDER BY e.id
$$;

-- Those of a queue that are due first: when, batch, first, count, and the limit or lock that they wait for.
CREATE FUNCTION delayed(_ns bigint, _address text, _most bigint)
RETURNS TABLE (due bigint, batch text, first bigint, count bigint, waits_for text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT e.due, e.batch, e.first, e.count, e.waits_for FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE q.ns = _ns AND q.address = _address AND e.due IS NOT NULL ORDER BY e.due, e.id LIMIT _most
$$;

-- Take entries of a batch out of a queue that nobody has in hand and whose calls have all ended. Returns how many.
CREATE FUNCTION withdraw(_ns bigint, _address text, _batch text, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _gone bigint;
BEGIN
  DELETE FROM entries WHERE id = ANY (ARRAY(
    SELECT e.id FROM entries e JOIN queues q ON q.queue = e.queue
      WHERE e.batch = _batch AND e.holder IS NULL AND q.ns = _ns AND q.address = _address
        AND covered(_ns, _batch, e.first, e.count) = e.count
      LIMIT _most FOR UPDATE OF e SKIP LOCKED));
  GET DIAGNOSTICS _gone = ROW_COUNT;
  RETURN _gone;
END $$;

-- What queues look like to who looks on: waiting, in hand, due later, ms for which the first one has waited.
CREATE FUNCTION depths(_ns bigint, _most bigint)
RETURNS TABLE (address text, waiting bigint, running bigint, delayed bigint, oldest bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT q.address, count(e.id) FILTER (WHERE e.holder IS NULL AND e.due IS NULL), count(e.holder), count(e.due),
      now_ms() - min(e.queued) FILTER (WHERE e.holder IS NULL AND e.due IS NULL)
    FROM (SELECT * FROM queues WHERE ns = _ns ORDER BY address LIMIT _most) q LEFT JOIN entries e ON e.queue = q.queue
    GROUP BY q.address ORDER BY q.address
$$;
