-- What verbs share that has to do with workflows: batches that wait, parked, for others to end.
-- Rows are locked in one order: batches, steps, workflows in fallout, each by their names. Whoever makes a step go on has
-- its row, so of several who report at once what it waits for, the last one sees what the others have done.

-- Queue what is parked of some batches, and note that it is; what is many entries goes on with promote. Their steps are
-- locked. Returns the queue of each entry, and when the first one of those is due that come later.
CREATE FUNCTION let_go(_ns bigint, _now bigint, _batches text[], OUT queues bigint[], OUT due bigint)
LANGUAGE plpgsql AS $$
DECLARE
  _ahead bigint := ahead_by(_ns);
  _many boolean;
BEGIN
  WITH picked AS (
    SELECT e.id FROM entries e WHERE e.batch = ANY (_batches) AND e.queue < 0 AND e.ns = _ns
      ORDER BY e.batch, e.first LIMIT 1000
  ), moved AS (
    UPDATE entries e SET id = DEFAULT, queue = -e.queue, queued = _now, due = _now - _ahead + e.due,
        flag = CASE WHEN is_flagged(_ns, e.batch) THEN '1' ELSE '' END
      FROM picked p WHERE e.id = p.id RETURNING e.queue, e.due
  )
  SELECT array_agg(m.queue) FILTER (WHERE m.due IS NULL), min(m.due), count(*) >= 1000
    INTO queues, due, _many FROM moved m;
  UPDATE steps s SET released = true, releasing = _many AND EXISTS (
      SELECT FROM entries e WHERE e.batch = s.batch AND e.queue < 0)
    WHERE s.ns = _ns AND s.batch = ANY (_batches) AND s.own;
END $$;

-- What is asked of single batches here is asked one by one: plans that are made while there are few would else look through
-- all of them each time.
CREATE FUNCTION is_flagged(_ns bigint, _batch text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT flagged FROM batches WHERE ns = _ns AND batch = _batch);
END $$;
CREATE FUNCTION ended_at(_ns bigint, _batch text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT ended FROM batches WHERE ns = _ns AND batch = _batch);
END $$;
CREATE FUNCTION awaits_of(_ns bigint, _batch text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT awaits FROM steps WHERE ns = _ns AND batch = _batch AND own);
END $$;

-- By how many ms the server's clock is ahead of its time as it is reckoned.
CREATE FUNCTION ahead_by(_ns bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT value::bigint FROM facts WHERE ns = _ns AND name = 'ahead' AND value ~ '^-?\d{1,15}$'), 0)
$$;

-- Calls have results, and each feeds the call of the same index of another batch, whose chunks have _sizes calls.
-- Returns as let_go does.
CREATE FUNCTION fed(
  _ns bigint, _now bigint, _batches text[], _sizes bigint[], _firsts bigint[], _counts bigint[],
  OUT queues bigint[], OUT due bigint
) LANGUAGE plpgsql AS $$
DECLARE
  _ahead bigint := ahead_by(_ns);
  _first bigint;
  _end bigint;
  _flag text;
  _starts bigint[];
  _some bigint[];
  _soonest bigint;
BEGIN
  queues := '{}';
  FOR _place IN 1 .. coalesce(array_length(_batches, 1), 0) LOOP
    _first := _firsts[_place];
    _end := _first + _counts[_place];
    _starts := ARRAY(SELECT generate_series(_first / _sizes[_place] * _sizes[_place], _end - 1, _sizes[_place]));
    SELECT CASE WHEN flagged THEN '1' ELSE '' END INTO _flag FROM batches WHERE ns = _ns AND batch = _batches[_place];
    CONTINUE WHEN NOT FOUND;
    WITH parked AS (
      SELECT e.id, e.first, e.first >= _first AND e.first + e.count <= _end AS whole FROM entries e
        WHERE e.batch = _batches[_place] AND e.queue < 0 AND e.first = ANY (_starts) AND e.first + e.count > _first
    ), moved AS (
      -- All of a chunk goes: its frame, which may be large, stays where it is.
      UPDATE entries e SET id = DEFAULT, queue = -e.queue, queued = _now, due = _now - _ahead + e.due, flag = _flag,
          follows = _first || '+' || _end - _first
        FROM parked p WHERE e.id = p.id AND p.whole RETURNING e.queue, e.due
    ), made AS (
      INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, flag, follows, frame)
        SELECT e.ns, -e.queue, e.batch, e.rank, _now - _ahead + e.due, _now, greatest(e.first, _first),
            least(e.first + e.count, _end) - greatest(e.first, _first), e.attempt, _flag,
            _first || '+' || _end - _first, e.frame
          FROM parked p JOIN entries e ON e.id = p.id WHERE NOT p.whole ORDER BY e.first
        RETURNING entries.queue, entries.due
    )
    SELECT array_agg(o.queue) FILTER (WHERE o.due IS NULL), min(o.due) INTO _some, _soonest
      FROM (SELECT * FROM moved UNION ALL SELECT * FROM made) o;
    queues := queues || coalesce(_some, '{}');
    due := least(due, _soonest);
  END LOOP;
END $$;

-- Nothing of some batches is parked any more, nor will be. Their steps are locked.
CREATE FUNCTION unparked(_ns bigint, _batches text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE steps SET released = true, releasing = false WHERE ns = _ns AND batch = ANY (_batches) AND own
    AND (releasing OR NOT released);
  DELETE FROM entries WHERE batch = ANY (_batches) AND queue < 0 AND ns = _ns;
END $$;

-- Something has failed that must reach what comes after it: have a supervisor see to that. Returns whether they are to be
-- told. Who notes it where it is noted already shares the row, so that nobody takes it before all of them are through.
CREATE FUNCTION failed_in(_ns bigint, _workflows text[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  _workflow text;
  _new boolean := false;
BEGIN
  FOR _workflow IN SELECT DISTINCT w FROM unnest(_workflows) AS w ORDER BY w LOOP
    PERFORM 1 FROM fallout WHERE ns = _ns AND workflow = _workflow AND until = 0 FOR SHARE;
    IF NOT FOUND THEN
      INSERT INTO fallout (ns, workflow, until) VALUES (_ns, _workflow, 0)
        ON CONFLICT (ns, workflow) DO UPDATE SET until = 0;
      _new := true;
    END IF;
  END LOOP;
  RETURN _new;
END $$;

-- A report has ended calls of batches that others wait for, or that are parts of workflows. What waited goes on.
--
-- _tied     all of these batches, which are locked
-- _batches, _firsts, _counts  those calls of them that have a result now
-- _bad      those of them of which a call has not succeeded
-- Returns as let_go does; and whether something is to be passed on.
CREATE FUNCTION advanced(
  _ns bigint, _now bigint, _tied text[], _batches text[], _firsts bigint[], _counts bigint[], _bad text[],
  OUT queues bigint[], OUT due bigint, OUT failed boolean
) LANGUAGE plpgsql AS $$
DECLARE
  _over text[];
  _touched text[];
  _met text[];
  _names text[];
  _found record;
BEGIN
  queues := '{}';
  SELECT array_agg(t) INTO _over FROM unnest(_tied) AS t WHERE ended_at(_ns, t) IS NOT NULL;
  SELECT array_agg(t.batch) INTO _touched FROM (
    SELECT unnest(_over) AS batch
    UNION SELECT w.batch FROM waits w WHERE w.ns = _ns AND w.before = ANY (_over)
    UNION SELECT w.batch FROM unnest(_batches, _firsts, _counts) AS r (batch, first, count)
      JOIN waits w ON w.ns = _ns AND w.before = r.batch AND w.first < r.first + r.count AND w.first + w.count > r.first
      WHERE w.before = ANY (_batches)
    -- What waits for more than to be fed goes on by whoever comes last.
    UNION SELECT w.batch FROM waits w
      WHERE w.ns = _ns AND w.before = ANY (_batches) AND w.size > 0 AND awaits_of(_ns, w.batch) > 0
  ) t;
  IF _touched IS NOT NULL THEN
    PERFORM 1 FROM steps WHERE ns = _ns AND batch = ANY (_touched) AND own ORDER BY batch FOR UPDATE;
  END IF;

  -- Calls that follow calls one by one.
  SELECT array_agg(w.batch) AS batches, array_agg(w.size) AS sizes, array_agg(r.first) AS firsts,
      array_agg(r.count) AS counts INTO _found
    FROM unnest(_batches, _firsts, _counts) AS r (batch, first, count)
      JOIN waits w ON w.ns = _ns AND w.before = r.batch AND w.size > 0
      WHERE w.before = ANY (_batches) AND awaits_of(_ns, w.batch) = 0;
  IF _found.batches IS NOT NULL THEN
    SELECT f.queues, f.due INTO queues, due FROM fed(
      _ns, _now, _found.batches, _found.sizes, _found.firsts, _found.counts) f;
  END IF;

  IF _touched IS NOT NULL THEN
    WITH met AS (
      DELETE FROM waits w WHERE w.ns = _ns AND w.before = ANY (_tied) AND w.batch = ANY (_touched) AND w.size = 0 AND (
        w.before = ANY (_over)
        OR (w.before = ANY (_batches) AND w.count > 0 AND covered(_ns, w.before, w.first, w.count) = w.count))
      RETURNING w.batch
    ), counted AS (SELECT m.batch, count(*) AS n FROM met m GROUP BY m.batch), stepped AS (
      UPDATE steps s SET awaits = s.awaits - c.n FROM counted c WHERE s.ns = _ns AND s.batch = c.batch AND s.own
        RETURNING s.batch, s.awaits
    )
    SELECT array_agg(batch) INTO _met FROM stepped WHERE awaits = 0;
  END IF;
  IF _met IS NOT NULL THEN
    SELECT g.queues, g.due INTO _found FROM gone_on(_ns, _now, _met) g;
    queues := queues || coalesce(_found.queues, '{}');
    due := least(due, _found.due);
  END IF;

  IF _over IS NOT NULL THEN
    -- What was fed by a batch that has ended has all that it will get, unless it waits for something else as well.
    SELECT array_agg(w.batch) INTO _names FROM waits w
      WHERE w.ns = _ns AND w.before = ANY (_over) AND w.size > 0 AND awaits_of(_ns, w.batch) = 0;
    PERFORM unparked(_ns, _over || coalesce(_names, '{}'));
    INSERT INTO closing (ns, batch)
      SELECT _ns, o FROM unnest(_over) AS o WHERE ended_at(_ns, o) >= _now;
  END IF;
  failed := failed_in(_ns, ARRAY(
    SELECT workflow FROM steps WHERE ns = _ns AND batch = ANY (_bad)
    -- What runs only after a failure is not needed, perhaps.
    UNION SELECT workflow FROM steps WHERE ns = _ns AND batch = ANY (_over) AND excuses));
END $$;

-- All that some steps wait for has ended. They are locked. Returns as let_go does.
CREATE FUNCTION gone_on(_ns bigint, _now bigint, _names text[], OUT queues bigint[], OUT due bigint)
LANGUAGE plpgsql AS $$
DECLARE
  _plain text[];
  _asides bigint[];
  _found record;
  _some bigint[];
BEGIN
  queues := '{}';
  SELECT array_agg(batch) FILTER (WHERE entry IS NULL AND each_of IS NULL AND complete AND NOT released),
      array_agg(entry) FILTER (WHERE entry IS NOT NULL)
    INTO _plain, _asides FROM steps WHERE ns = _ns AND batch = ANY (_names) AND own;
  IF _plain IS NOT NULL THEN
    SELECT g.queues, g.due INTO _found FROM let_go(_ns, _now, _plain) g;
    queues := queues || coalesce(_found.queues, '{}');
    due := _found.due;
  END IF;
  IF _asides IS NOT NULL THEN
    -- Unless their time had come before.
    WITH moved AS (
      UPDATE entries e SET id = DEFAULT, due = NULL, queued = _now,
          flag = CASE WHEN is_flagged(_ns, e.batch) AND e.flag = '' THEN '1' ELSE e.flag END
        WHERE e.id = ANY (_asides) AND e.due IS NOT NULL RETURNING e.queue
    )
    SELECT array_agg(m.queue) INTO _some FROM moved m;
    queues := queues || coalesce(_some, '{}');
    DELETE FROM steps WHERE ns = _ns AND batch = ANY (_names) AND own AND entry IS NOT NULL;
  END IF;
  -- Those that are fed: by what has a result by now.
  IF NOT EXISTS (SELECT FROM steps WHERE ns = _ns AND batch = ANY (_names) AND each_of IS NOT NULL) THEN RETURN; END IF;
  SELECT array_agg(s.batch) AS batches, array_agg(s.size) AS sizes, array_agg(r.first) AS firsts,
      array_agg(r.count) AS counts INTO _found
    FROM steps s JOIN results r ON r.ns = _ns AND r.batch = s.each_of
    WHERE s.ns = _ns AND s.batch = ANY (_names) AND s.own;
  IF _found.batches IS NOT NULL THEN
    SELECT f.queues, f.due INTO _found FROM fed(
      _ns, _now, _found.batches, _found.sizes, _found.firsts, _found.counts) f;
    queues := queues || coalesce(_found.queues, '{}');
    due := least(due, _found.due);
  END IF;
  SELECT array_agg(s.batch) INTO _plain FROM steps s
    WHERE s.ns = _ns AND s.batch = ANY (_names) AND s.own AND ended_at(_ns, s.each_of) IS NOT NULL;
  IF _plain IS NOT NULL THEN PERFORM unparked(_ns, _plain); END IF;
END $$;

-- Have a call that was put aside go on when some batches have ended, which are locked. Returns whether it may at once.
CREATE FUNCTION put_aside(_ns bigint, _name text, _entry bigint, _before text[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  _open text[];
BEGIN
  SELECT array_agg(DISTINCT b) INTO _open FROM unnest(_before) AS b
    WHERE EXISTS (SELECT FROM batches k WHERE k.ns = _ns AND k.batch = b AND k.ended IS NULL);
  IF _open IS NULL THEN RETURN true; END IF;
  INSERT INTO steps (ns, batch, workflow, own, complete, awaits, entry)
    VALUES (_ns, _name, _name, true, true, array_length(_open, 1), _entry) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO waits (ns, before, batch, first, count) SELECT _ns, o, _name, 0, -1 FROM unnest(_open) AS o;
    UPDATE batches SET tied = true WHERE ns = _ns AND batch = ANY (_open) AND NOT tied;
  END IF;
  RETURN false;
END $$;

-- Have those tied batches expire that have ended and that no workflow needs any more: it has ended when its own batches
-- all have.
CREATE FUNCTION closed(_ns bigint, _now bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _some text[];
  _workflows text[];
  _over text[];
  _members text[];
BEGIN
  WITH gone AS (
    DELETE FROM closing WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM closing WHERE ns = _ns LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING batch
  )
  SELECT array_agg(DISTINCT batch) INTO _some FROM gone;
  IF _some IS NULL THEN RETURN; END IF;
  SELECT array_agg(DISTINCT workflow) INTO _workflows FROM steps WHERE ns = _ns AND batch = ANY (_some);
  _over := workflows_over(_ns, _workflows);
  SELECT array_agg(DISTINCT batch) INTO _members FROM steps WHERE ns = _ns AND workflow = ANY (_over);
  -- What one has needed, another one may need still.
  SELECT array_agg(DISTINCT workflow) INTO _workflows FROM steps
    WHERE ns = _ns AND batch = ANY (_members) AND NOT workflow = ANY (_workflows);
  _over := _over || workflows_over(_ns, _workflows);
  _members := _members || _some;
  PERFORM 1 FROM batches WHERE ns = _ns AND batch = ANY (_members) ORDER BY batch FOR NO KEY UPDATE;
  UPDATE batches b SET expires = _now + least(b.ttl, 3155760000000)
    WHERE b.ns = _ns AND b.batch = ANY (_members) AND b.ended IS NOT NULL AND b.expires IS NULL
      AND NOT EXISTS (SELECT FROM steps s WHERE s.ns = _ns AND s.batch = b.batch AND NOT s.workflow = ANY (_over));
  UPDATE plans p SET expires = _now + o.ttl
    FROM (
      SELECT s.workflow, max(least(b.ttl, 3155760000000)) AS ttl
        FROM steps s JOIN batches b ON b.ns = _ns AND b.batch = s.batch
        WHERE s.ns = _ns AND s.own AND s.workflow = ANY (_over) GROUP BY s.workflow
    ) o WHERE p.ns = _ns AND p.name = o.workflow AND p.expires IS NULL;
END $$;

CREATE FUNCTION workflows_over(_ns bigint, _workflows text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  RETURN ARRAY(SELECT w FROM unnest(_workflows) AS w WHERE NOT EXISTS (
    SELECT FROM steps s JOIN batches b ON b.ns = _ns AND b.batch = s.batch
      WHERE s.ns = _ns AND s.workflow = w AND s.own AND b.ended IS NULL));
END $$;

-- Wake those who take from the queues of some entries.
CREATE FUNCTION wake_all(_ns bigint, _queues bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _one record;
BEGIN
  FOR _one IN
    SELECT q.address, count(*) AS n FROM unnest(_queues) AS u (queue) JOIN queues q ON q.queue = u.queue
      GROUP BY q.address ORDER BY q.address
  LOOP
    PERFORM wake(_ns, _one.address, _one.n);
  END LOOP;
END $$;
