-- Look how calls have ended.
-- Returns, of those rows of results that have some of them, first, count and states (a byte a call).
CREATE FUNCTION states(_ns bigint, _batch text, _first bigint, _count bigint)
RETURNS TABLE (first bigint, count bigint, states bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT r.first, r.count, r.states FROM results_of(_ns, _batch, _first, _count) r ORDER BY r.first;
END $$;

-- The same of several batches, all of each; the batch's place in the list stands before the rest.
CREATE FUNCTION states_of(_ns bigint, _batches text[])
RETURNS TABLE (place bigint, first bigint, count bigint, states bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT b.place, r.first, r.count, r.states
    FROM unnest(_batches) WITH ORDINALITY AS b (name, place)
    JOIN results r ON r.ns = _ns AND r.batch = b.name ORDER BY b.place, r.first;
END $$;
