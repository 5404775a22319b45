-- Submit the calls of a periodic task for one due time, once, whoever says it and however often.
--
-- _version   of the frame that they were made of
-- _due       the due time (ms); NULL for a run beside the timetable
-- _next      when it is due next (ms); NULL where it never is
-- _overlaps  whether runs may overlap
-- _label, _ttl  of the batch
-- _most      entries that a lane may hold
-- _lanes, _delays, _firsts, _counts, _frames  of each chunk: ms after the due time before which it may not start
-- Returns what came of it: "OK"; "LATE", another one has; "EARLY"; "CHANGED", it is another one, or is gone; "NOFN", its
-- function is lost; "FULL"; "BUSY", the run before goes on, and the due time was passed over; "WAIT", it goes on, but both
-- are due since before it began: it comes when that has ended. And the batch that is in the way, or NULL.
CREATE FUNCTION periodic_fire(
  _ns bigint, _key_id text, _id text, _version text, _due bigint, _next bigint, _batch text, _overlaps boolean,
  _address text, _label bytea, _ttl bigint, _most bigint, _lanes text[], _delays bigint[], _firsts bigint[],
  _counts bigint[], _frames bytea[], OUT came text, OUT busy text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _task record;
  _now bigint;
  _last text;
  _queue bigint;
  _ahead bigint;
  _waits bigint;
  _ready bigint := 0;
BEGIN
  SELECT t.version, t.due, t.fence, t.function, t.runs INTO _task FROM periodic_tasks t
    WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = _id FOR NO KEY UPDATE;
  IF NOT FOUND OR _task.version <> _version THEN came := 'CHANGED'; RETURN; END IF;
  _now := now_ms();
  IF _due IS NOT NULL THEN
    IF _task.due IS DISTINCT FROM _due THEN came := 'LATE'; RETURN; END IF;
    IF _now < _due THEN came := 'EARLY'; RETURN; END IF;
  END IF;
  _last := _task.runs[1];
  IF NOT _overlaps AND _last <> _batch AND EXISTS (
    SELECT FROM batches b WHERE b.ns = _ns AND b.batch = _last AND b.ended IS NULL
  ) THEN
    busy := _last;
    IF _due <= _task.fence THEN came := 'WAIT'; RETURN; END IF;
    came := 'BUSY';
    IF _due IS NOT NULL THEN
      UPDATE periodic_tasks t SET due = _next, overlapped = t.overlapped + 1, gone = NULL
        WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = _id;
    END IF;
    RETURN;
  END IF;
  -- Locked: it does not go between this look and the batch that needs it.
  PERFORM 1 FROM functions WHERE ns = _ns AND digest = _task.function FOR KEY SHARE;
  IF NOT FOUND THEN came := 'NOFN'; RETURN; END IF;
  _queue := queue_of(_ns, _address);
  IF is_full(_queue, rank_of(_lanes[1]), _most) THEN came := 'FULL'; RETURN; END IF;

  -- Where the server crashes and forgets this, it forgets all of it: it is due as before, and will be the same batch. What
  -- a worker has told of the run since, or begun for good, waits for the disk, and this with it. A run beside the
  -- timetable is promised to who asks for it.
  IF _due IS NOT NULL THEN PERFORM lazily(); END IF;
  -- Nobody is told how it ends: who wants to know looks. A batch that is there already was fired before, and a clock was
  -- set since.
  INSERT INTO batches (ns, batch, n, address, function, ttl, submitted, sessions, label)
    SELECT _ns, _batch, sum(c), _address, _task.function, _ttl, _now, '{}', _label FROM unnest(_counts) AS c
    ON CONFLICT (ns, batch) DO NOTHING;
  IF FOUND THEN
    -- What is due later is so in the time as it is reckoned.
    SELECT f.value::bigint INTO _ahead FROM facts f
      WHERE f.ns = _ns AND f.name = 'ahead' AND f.value ~ '^-?[0-9]{1,14}$';
    WITH made AS (
      INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, frame)
        SELECT _ns, _queue, _batch, rank_of(c.lane),
            CASE WHEN coalesce(_due, _now) + c.delay > _now THEN coalesce(_due, _now) + c.delay - coalesce(_ahead, 0) END,
            _now, c.first, c.count, 1, c.frame
          FROM unnest(_lanes, _delays, _firsts, _counts, _frames) WITH ORDINALITY
            AS c (lane, delay, first, count, frame, place) ORDER BY c.place
        RETURNING due
    )
    SELECT min(due), count(*) FILTER (WHERE due IS NULL) INTO _waits, _ready FROM made;
    INSERT INTO happened (ns, at, name, frame) VALUES (_ns, _now, _batch, _label);
  END IF;
  -- The last 30 runs. What was due before this began, and comes later, has not overlapped with it then.
  UPDATE periodic_tasks t SET
      due = CASE WHEN _due IS NULL THEN t.due ELSE _next END,
      gone = CASE WHEN _due IS NULL THEN t.gone END,
      fence = CASE WHEN _due > t.fence THEN _now ELSE t.fence END,
      fired = t.fired + (_last IS DISTINCT FROM _batch)::int,
      dues = CASE WHEN _last = _batch THEN t.dues ELSE (coalesce(_due, _now) || t.dues)[1:30] END,
      runs = CASE WHEN _last = _batch THEN t.runs ELSE (_batch || t.runs)[1:30] END
    WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = _id;
  came := 'OK';
  IF _waits IS NOT NULL THEN PERFORM tell(_ns, 'due', _waits::text::bytea); END IF;
  IF _ready > 0 THEN PERFORM wake(_ns, _address, _ready); END IF;
END $$;
