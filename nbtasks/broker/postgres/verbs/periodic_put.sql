-- Put a periodic task, or another version of one. Its history stays, and where it is due at the same times, its next due
-- time, and a pause.
--
-- _version         a hash of the frame
-- _function_frame  the function's record; NULL where the server should have it
-- _client          that it ends with, or ''
-- _first           when it is due first, where that is new (ms)
-- Returns whether the function is there; if not, nothing was done. And when it is due next, NULL while it pauses.
CREATE FUNCTION periodic_put(
  _ns bigint, _key_id text, _id text, _version text, _frame bytea, _timetable text, _function text,
  _function_frame bytea, _client text, _first bigint, _ttl bigint, OUT known boolean, OUT next bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _there record;
  _goes_on boolean;
BEGIN
  IF _function_frame IS NOT NULL THEN
    INSERT INTO functions AS f (ns, digest, used, frame) VALUES (_ns, _function, now_ms(), _function_frame)
      ON CONFLICT (ns, digest) DO UPDATE SET frame = excluded.frame, used = excluded.used
        WHERE f.frame IS DISTINCT FROM excluded.frame;
  END IF;
  -- Locked: it does not go between this look and the periodic task that needs it.
  PERFORM 1 FROM functions WHERE ns = _ns AND digest = _function FOR KEY SHARE;
  known := FOUND;
  IF NOT known THEN RETURN; END IF;
  -- Of several who come at once, one makes the row, and the others wait for it here.
  INSERT INTO periodic_tasks (ns, key_id, id, version, frame, timetable, function, client, due, ttl)
    VALUES (_ns, _key_id, _id, _version, _frame, _timetable, _function, _client, _first, _ttl)
    ON CONFLICT (ns, key_id, id) DO NOTHING;
  IF FOUND THEN
    next := _first;
  ELSE
    SELECT t.due, t.paused, t.timetable, t.client INTO _there FROM periodic_tasks t
      WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = _id FOR NO KEY UPDATE;
    -- While the notebook of the one before was closed, nothing was due.
    _goes_on := _there.timetable = _timetable AND (_there.client = '' OR _there.client = _client);
    next := CASE WHEN _there.paused IS NOT NULL THEN NULL WHEN _goes_on THEN _there.due ELSE _first END;
    UPDATE periodic_tasks t SET version = _version, frame = _frame, timetable = _timetable, function = _function,
        client = _client, ttl = _ttl, due = next, gone = NULL
      WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = _id;
    -- Somebody has removed it meanwhile: it is put by whoever says it again.
    IF NOT FOUND THEN RAISE SQLSTATE '40001' USING MESSAGE = 'it was removed meanwhile'; END IF;
  END IF;
  PERFORM tell(_ns, 'sd', '');
END $$;
