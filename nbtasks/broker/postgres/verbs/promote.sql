-- Queue calls that are due.
--
-- _now    the server's time as it is reckoned (ms)
-- Returns how many entries were queued, and ms until the next one is due, or -1.
CREATE FUNCTION promote(_ns bigint, _address text, _now bigint, _most bigint, OUT moved bigint, OUT next bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _queue bigint := queue_of(_ns, _address);
  _partly text;
  _found record;
BEGIN
  -- A supervisor comes here every few seconds: that is often enough for what has expired, and costs next to nothing.
  PERFORM swept(_ns, 100);
  moved := promoted(_ns, _queue, _address, _now, _most);
  SELECT greatest(0, least(due - _now, 86400000)) INTO next FROM entries
    WHERE queue = _queue AND due IS NOT NULL ORDER BY due LIMIT 1;
  next := coalesce(next, -1);
  -- A large batch that has waited for others is queued step by step.
  SELECT batch INTO _partly FROM steps WHERE ns = _ns AND releasing LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    SELECT g.queues INTO _found FROM let_go(_ns, now_ms(), ARRAY[_partly]) g;
    PERFORM wake_all(_ns, _found.queues);
    next := 0;
  END IF;
END $$;

CREATE FUNCTION promoted(_ns bigint, _queue bigint, _address text, _now bigint, _most bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  _ids bigint[];
BEGIN
  SELECT array_agg(p.id) INTO _ids FROM (
    SELECT id FROM entries WHERE queue = _queue AND due <= _now ORDER BY due LIMIT _most FOR UPDATE SKIP LOCKED
  ) p;
  IF _ids IS NULL THEN RETURN 0; END IF;
  DELETE FROM entries e WHERE e.id = ANY (_ids)
    AND NOT EXISTS (SELECT FROM batches b WHERE b.ns = _ns AND b.batch = e.batch);
  -- With a new number each comes behind what was queued before.
  UPDATE entries e SET id = DEFAULT, due = NULL, waits_for = '', queued = now_ms(),
      flag = CASE WHEN e.waits_for = '?' THEN '3' WHEN b.flagged AND e.flag = '' THEN '1' ELSE e.flag END
    FROM batches b WHERE e.id = ANY (_ids) AND b.ns = _ns AND b.batch = e.batch;
  PERFORM wake(_ns, _address, array_length(_ids, 1));
  RETURN array_length(_ids, 1);
END $$;
