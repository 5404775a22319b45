-- Returns a piece of a large value.
CREATE FUNCTION blob(_ns bigint, _key text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT data FROM blobs WHERE ns = _ns AND key = _key AND (expires IS NULL OR expires > now_ms()));
END $$;

-- Returns those keys under which there is a piece.
CREATE FUNCTION blobs_there(_ns bigint, _keys text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT key FROM blobs WHERE ns = _ns AND key = ANY (_keys) AND (expires IS NULL OR expires > now_ms())
$$;

CREATE FUNCTION drop_blobs(_ns bigint, _keys text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  DELETE FROM blobs WHERE ns = _ns AND key = ANY (_keys)
$$;
