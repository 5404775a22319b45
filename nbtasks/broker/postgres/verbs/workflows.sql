-- Look how calls of several batches have ended: of those rows of results that have some of them, the part's place in the
-- list, first, count and states (a byte a call).
CREATE FUNCTION states_of_parts(_ns bigint, _batches text[], _firsts bigint[], _counts bigint[])
RETURNS TABLE (place bigint, first bigint, count bigint, states bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  FOR _place IN 1 .. coalesce(array_length(_batches, 1), 0) LOOP
    RETURN QUERY SELECT _place::bigint, r.first, r.count, r.states
      FROM results_of(_ns, _batches[_place], _firsts[_place], _counts[_place]) r;
  END LOOP;
END $$;

-- The first calls of those chunks of some batches that wait for others.
CREATE FUNCTION parked(_ns bigint, _batches text[]) RETURNS TABLE (batch text, first bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT batch, first FROM entries WHERE batch = ANY (_batches) AND queue < 0 AND ns = _ns
$$;

-- Take workflows in which something has failed, or of which only a part has come yet; whoever takes one and dies leaves it
-- to the next one.
--
-- _for            ms until another one may take them
-- _names, _marks  those that have been seen to; where something has failed meanwhile, they stay
-- _unseen         ms for which a client that is not known was not seen
-- Returns each with its mark; and where only a part of it has come, the ms since its client was seen, else 0.
CREATE FUNCTION take_fallout(_ns bigint, _most bigint, _for bigint, _names text[], _marks bigint[], _unseen bigint)
RETURNS TABLE (workflow text, mark bigint, silent bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _seen text[];
  _taken text[];
  _now bigint := now_us();
BEGIN
  -- Whoever holds a row notes a failure there: it is looked at once more.
  SELECT array_agg(s.workflow) INTO _seen FROM (
    SELECT f.workflow FROM unnest(_names, _marks) AS a (name, mark)
      JOIN fallout f ON f.ns = _ns AND f.workflow = a.name AND f.until = a.mark FOR UPDATE OF f SKIP LOCKED
  ) s;
  DELETE FROM fallout f WHERE f.ns = _ns AND f.workflow = ANY (_seen);
  SELECT array_agg(t.workflow) INTO _taken FROM (
    SELECT f.workflow FROM fallout f WHERE f.ns = _ns AND f.until <= _now ORDER BY f.until LIMIT _most
      FOR UPDATE SKIP LOCKED
  ) t;
  UPDATE fallout f SET until = _now + 1000 * _for WHERE f.ns = _ns AND f.workflow = ANY (_taken);
  RETURN QUERY SELECT f.workflow, f.until, CASE WHEN f.session IS NULL THEN 0
      ELSE greatest(1, coalesce(_now / 1000 - s.seen, _unseen)) END
    FROM fallout f LEFT JOIN sessions s ON s.ns = _ns AND s.session = f.session
    WHERE f.ns = _ns AND f.workflow = ANY (_taken);
END $$;
