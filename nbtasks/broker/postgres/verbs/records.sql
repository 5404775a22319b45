-- Under which calls the records of some batches are filed, in order.
CREATE FUNCTION ranges(_ns bigint, _batches text[]) RETURNS TABLE (batch text, first bigint, count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT r.batch, r.first, r.count FROM results r WHERE r.ns = _ns AND r.batch = ANY (_batches)
    ORDER BY r.batch, r.first;
END $$;

-- Returns the record that is filed under exactly these calls.
CREATE FUNCTION record(_ns bigint, _batch text, _first bigint, _count bigint) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT r.record FROM results r
    WHERE r.ns = _ns AND r.batch = _batch AND r.first = _first AND r.count = _count);
END $$;

-- The same of several; the place in the list stands before each.
CREATE FUNCTION records(_ns bigint, _batches text[], _firsts bigint[], _counts bigint[])
RETURNS TABLE (place bigint, record bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT a.place, r.record
    FROM unnest(_batches, _firsts, _counts) WITH ORDINALITY AS a (batch, first, count, place)
    JOIN results r ON r.ns = _ns AND r.batch = a.batch AND r.first = a.first AND r.count = a.count ORDER BY a.place;
END $$;
