-- What a flush says of workflows.

-- Lock what is there already of what a flush ties together, in one order: batches by their names, then steps by theirs.
CREATE FUNCTION locked_for(_ns bigint, _kinds text[], _words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _batches text[];
BEGIN
  SELECT array_agg(DISTINCT b) INTO _batches FROM (
    SELECT string_to_array(w, E'\t') AS w, k FROM unnest(_kinds, _words) AS o (k, w) WHERE k IN ('B', 'N', 'W', 'X', 'L')
  ) o CROSS JOIN LATERAL unnest(CASE k
    WHEN 'W' THEN ARRAY[o.w[1]] || string_to_array(o.w[3], ' ') WHEN 'X' THEN o.w[1:2] ELSE o.w[1:1] END) AS b;
  PERFORM 1 FROM batches WHERE ns = _ns AND batch = ANY (_batches) ORDER BY batch FOR NO KEY UPDATE;
  PERFORM 1 FROM steps WHERE ns = _ns AND batch = ANY (_batches) AND own ORDER BY batch FOR UPDATE;
END $$;

-- Record what a flush says of workflows, in this order:
--   V  workflow                                                    its graph
--   W  batch, workflow, batches that it waits for, "<batch>/<calls> ..." whose calls wait for its calls one by one,
--      "1" where one that waits for it is to run only after a failure
--   X  batch, batch that was submitted before, first, count, workflow  it waits for these calls, too
--   I  workflow, "" or "1"                                         it begins to come, or all of it is there
--   P  batch, address, lane, ms to wait after it was released, first, count  a chunk that is parked; its frame
--   L  batch                                                       all its chunks are there
-- Returns the queue of each entry that waits for nothing, when the first one of those is due that come later, and whether
-- something is to be passed on.
CREATE FUNCTION woven(
  _ns bigint, _session text, _now bigint, _kinds text[], _words text[], _frames bytea[],
  OUT queues bigint[], OUT due bigint, OUT failed boolean
) LANGUAGE plpgsql AS $$
DECLARE
  _w text[];
  _bad text[] := '{}';
  _names text[];
BEGIN
  INSERT INTO plans (ns, name, frame)
    SELECT DISTINCT ON (w) _ns, w, f FROM unnest(_kinds, _words, _frames) AS o (k, w, f) WHERE k = 'V' ORDER BY w
    ON CONFLICT (ns, name) DO UPDATE SET frame = excluded.frame, expires = NULL;
  PERFORM stepped(_ns, _kinds, _words);
  FOR _w IN
    SELECT string_to_array(w, E'\t') FROM unnest(_kinds, _words) WITH ORDINALITY AS o (k, w, place)
      WHERE k = 'X' ORDER BY place
  LOOP
    IF awaited(_ns, _now, _w[1], _w[2], _w[3]::bigint, _w[4]::bigint, _w[5]) THEN _bad := _bad || _w[5]; END IF;
  END LOOP;
  IF 'I' = ANY (_kinds) THEN PERFORM coming(_ns, _session, _kinds, _words); END IF;
  INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, frame)
    SELECT _ns, -q.queue, c.w[1], rank_of(c.w[3]), nullif(c.w[4]::bigint, 0), _now, c.w[5]::bigint, c.w[6]::bigint, 1,
        c.f
      FROM (
        SELECT string_to_array(w, E'\t') AS w, f, place
          FROM unnest(_kinds, _words, _frames) WITH ORDINALITY AS o (k, w, f, place) WHERE k = 'P'
      ) c JOIN queues q ON q.ns = _ns AND q.address = c.w[2] ORDER BY c.place;
  UPDATE steps SET complete = true WHERE ns = _ns AND own AND NOT complete AND batch = ANY (ARRAY(
    SELECT w FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'L'));
  -- It has ended before, all that they wait for; or they are sent once more, and were released before.
  SELECT array_agg(DISTINCT s.batch) INTO _names
    FROM unnest(_kinds, _words) AS o (k, w) JOIN steps s ON s.ns = _ns AND s.batch = split_part(o.w, E'\t', 1) AND s.own
    WHERE o.k IN ('P', 'L') AND s.awaits = 0 AND (s.released OR (s.complete AND s.each_of IS NULL));
  IF _names IS NOT NULL THEN
    SELECT g.queues, g.due INTO queues, due FROM let_go(_ns, _now, _names) g;
  END IF;
  failed := failed_in(_ns, _bad);
END $$;

-- Batches are steps of a workflow. What of it is known already is so from before: it was sent again.
CREATE FUNCTION stepped(_ns bigint, _kinds text[], _words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _new text[];
BEGIN
  WITH made AS (
    INSERT INTO steps (ns, batch, workflow, own, excuses)
      SELECT _ns, o.w[1], o.w[2], true, o.w[5] = '1' FROM (
        SELECT string_to_array(w, E'\t') AS w FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'W'
      ) o ON CONFLICT DO NOTHING RETURNING batch
  )
  SELECT array_agg(batch) INTO _new FROM made;
  IF _new IS NULL THEN RETURN; END IF;
  UPDATE batches SET tied = true WHERE ns = _ns AND batch = ANY (_new) AND NOT tied;
  WITH new AS (
    SELECT o.w FROM (
      SELECT string_to_array(w, E'\t') AS w FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'W'
    ) o WHERE o.w[1] = ANY (_new)
  ), before AS (
    INSERT INTO waits (ns, before, batch, first, count)
      SELECT _ns, b, n.w[1], 0, -1 FROM new n CROSS JOIN LATERAL unnest(string_to_array(n.w[3], ' ')) AS b
        -- It has ended before where the server has lost this one, and not the other.
        WHERE NOT EXISTS (SELECT FROM batches e WHERE e.ns = _ns AND e.batch = b AND e.ended IS NOT NULL)
      ON CONFLICT DO NOTHING RETURNING batch
  ), counted AS (SELECT batch, count(*) AS n FROM before GROUP BY batch)
  UPDATE steps s SET awaits = c.n FROM counted c WHERE s.ns = _ns AND s.batch = c.batch AND s.own;
  WITH followed AS (
    SELECT o.w[1] AS before, split_part(f, '/', 1) AS batch, greatest(1, split_part(f, '/', 2)::bigint) AS size
      FROM (
        SELECT string_to_array(w, E'\t') AS w FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'W'
      ) o CROSS JOIN LATERAL unnest(string_to_array(o.w[4], ' ')) AS f WHERE o.w[1] = ANY (_new)
  ), before AS (
    INSERT INTO waits (ns, before, batch, first, count, size) SELECT _ns, f.before, f.batch, 0, 0, f.size FROM followed f
      ON CONFLICT DO NOTHING
  )
  UPDATE steps s SET each_of = f.before, size = f.size FROM followed f
    WHERE s.ns = _ns AND s.batch = f.batch AND s.own;
END $$;

-- A parked batch waits for calls of a batch that was submitted before, which is kept for it from now on. Returns whether
-- one of them has not succeeded.
CREATE FUNCTION awaited(
  _ns bigint, _now bigint, _batch text, _before text, _first bigint, _count bigint, _workflow text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  _bad boolean;
BEGIN
  IF NOT EXISTS (SELECT FROM steps WHERE ns = _ns AND batch = _batch AND own AND NOT released) THEN RETURN false; END IF;
  PERFORM 1 FROM batches WHERE ns = _ns AND batch = _before AND (expires IS NULL OR expires > _now);
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE batches SET tied = true, expires = NULL WHERE ns = _ns AND batch = _before AND (NOT tied OR expires IS NOT NULL);
  INSERT INTO steps (ns, batch, workflow, own) VALUES (_ns, _before, _workflow, false) ON CONFLICT DO NOTHING;
  IF covered(_ns, _before, _first, _count) < _count THEN
    INSERT INTO waits (ns, before, batch, first, count) VALUES (_ns, _before, _batch, _first, _count)
      ON CONFLICT DO NOTHING;
    IF FOUND THEN UPDATE steps SET awaits = awaits + 1 WHERE ns = _ns AND batch = _batch AND own; END IF;
  END IF;
  -- 4 is SUCCESS, as in core/states.py.
  SELECT bool_or(get_byte(r.states, (k - r.first)::int) <> 4) INTO _bad
    FROM results_of(_ns, _before, _first, _count) r
      CROSS JOIN LATERAL generate_series(greatest(r.first, _first), least(r.first + r.count, _first + _count) - 1) AS k;
  RETURN coalesce(_bad, false);
END $$;

-- What needs more than one flush may stay in part where its client dies between them: somebody looks after a minute.
CREATE FUNCTION coming(_ns bigint, _session text, _kinds text[], _words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _one record;
BEGIN
  FOR _one IN
    SELECT split_part(w, E'\t', 1) AS workflow, bool_or(split_part(w, E'\t', 2) = '') AS begins,
        bool_or(split_part(w, E'\t', 2) = '1') AS ends
      FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'I' GROUP BY 1 ORDER BY 1
  LOOP
    IF _one.begins AND NOT _one.ends THEN
      INSERT INTO fallout (ns, workflow, until, session)
        VALUES (_ns, _one.workflow, now_us() + 60000000, _session)
        ON CONFLICT (ns, workflow) DO UPDATE SET session = excluded.session;
    ELSIF _one.ends AND NOT _one.begins THEN
      UPDATE fallout SET session = NULL WHERE ns = _ns AND workflow = _one.workflow;
    END IF;
  END LOOP;
END $$;
