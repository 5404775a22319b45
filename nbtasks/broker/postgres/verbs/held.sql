-- Returns the entries that a consumer holds in some queues, all of them suspect.
CREATE FUNCTION held(_ns bigint, _queues bigint[], _consumer text, _most bigint) RETURNS SETOF entry_out
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT (entry_of(queue, rank, id, batch, first, count, attempt, CASE WHEN flag = '' THEN '1' ELSE flag END, follows,
    frame)).* FROM entries WHERE holder = _consumer AND queue = ANY (_queues) ORDER BY rank, id LIMIT _most
$$;
