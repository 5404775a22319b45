-- The calls that some names lead to, whose results later runs may take. The name's place stands before each.
CREATE FUNCTION kept_under(_ns bigint, _names text[])
RETURNS TABLE (place bigint, batch text, index bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT a.place, k.batch, k.index FROM unnest(_names) WITH ORDINALITY AS a (name, place)
    JOIN kept_calls k ON k.ns = _ns AND k.name = a.name AND k.expires > now_ms()
$$;
