-- The number of the last thing that has happened, and those shortly before it.
CREATE FUNCTION last_happened(_ns bigint, _most bigint, OUT last bigint, OUT recent bigint[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT coalesce(max(id), 0), coalesce(array_agg(id), '{}')
    FROM (SELECT id FROM happened WHERE ns = _ns ORDER BY id DESC LIMIT _most) h
$$;

-- What has happened since some moment (ms), behind some number, and was not seen yet.
CREATE FUNCTION read_happened(_ns bigint, _since bigint, _after bigint, _seen bigint[], _most bigint)
RETURNS TABLE (id bigint, at bigint, name text, wins text, frame bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT h.id, h.at, h.name, h.wins, h.frame FROM happened h
    WHERE h.ns = _ns AND h.id > _after AND h.at >= _since AND NOT h.id = ANY (_seen) ORDER BY h.id LIMIT _most;
END $$;
