-- Returns every consumer of some queues that holds something, with the number of its entries.
CREATE FUNCTION holders(_ns bigint, _addresses text[]) RETURNS TABLE (consumer text, entries bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT e.holder, count(*) FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE e.holder IS NOT NULL AND q.ns = _ns AND q.address = ANY (_addresses) GROUP BY e.holder
$$;
