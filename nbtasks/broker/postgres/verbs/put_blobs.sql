-- Store pieces of large values, to be taken over by a batch or a result within _grace ms.
CREATE FUNCTION put_blobs(_ns bigint, _keys text[], _data bytea[], _grace bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  INSERT INTO blobs (ns, key, expires, data) SELECT _ns, k, now_ms() + _grace, d FROM unnest(_keys, _data) AS b (k, d)
    ORDER BY k
    ON CONFLICT (ns, key) DO UPDATE SET data = excluded.data,
      expires = CASE WHEN blobs.expires IS NULL THEN NULL ELSE excluded.expires END
$$;
