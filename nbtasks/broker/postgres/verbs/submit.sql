-- Take one numbered flush of a session: record batches, queue chunks. Exactly once, however often it is sent.
--
-- _number    of this flush; the last one is kept with the session
-- _most      entries that a lane may hold
-- _kinds, _words, _frames: the operations, each with its words, parted by tabs, and its bytes
--   F  function                                                 its record; said before the batches that need it
--   B  batch, n, address, function, ttl (ms); label             a new batch
--   N  batch, n; label                                          a batch has n calls in the end
--   O  batch, key                                               a blob that lives as long as the batch
--   C  batch, address, lane, due (ms, 0: now), first, count     a chunk of calls; its frame
-- Returns "OK", "DUP" (was applied before), "GAP <last>", "NOFN <function>", "FULL <address>"
CREATE FUNCTION submit(
  _ns bigint, _session text, _number bigint, _most bigint, _kinds text[], _words text[], _frames bytea[]
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
  _last bigint;
  _op record;
  _missing text;
  _place record;
  _queue bigint;
  _due bigint;
BEGIN
  SELECT last INTO _last FROM sessions WHERE ns = _ns AND session = _session FOR NO KEY UPDATE;
  IF _last IS NULL THEN
    INSERT INTO sessions (ns, session, last, seen) VALUES (_ns, _session, 0, _now) ON CONFLICT DO NOTHING;
    SELECT last INTO _last FROM sessions WHERE ns = _ns AND session = _session FOR NO KEY UPDATE;
  END IF;
  IF _number = _last THEN RETURN 'DUP'; END IF;
  IF _number <> _last + 1 THEN RETURN 'GAP ' || _last; END IF;

  -- What may refuse all of it comes first: a verb that has written something cannot answer that nothing was done.
  IF _number % 16 = 1 THEN
    FOR _place IN
      SELECT DISTINCT split_part(w, E'\t', 2) AS address, split_part(w, E'\t', 3) AS lane
        FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'C'
    LOOP
      IF is_full(queue_of(_ns, _place.address), rank_of(_place.lane), _most) THEN
        RETURN 'FULL ' || _place.address;
      END IF;
    END LOOP;
  END IF;
  -- Locked: nothing that is needed goes between this look and the batch that needs it.
  FOR _op IN
    SELECT DISTINCT split_part(w, E'\t', 4) AS digest FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'B' ORDER BY 1
  LOOP
    PERFORM 1 FROM functions WHERE ns = _ns AND digest = _op.digest FOR KEY SHARE;
    IF NOT FOUND AND NOT EXISTS (
      SELECT FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'F' AND w = _op.digest
    ) THEN
      RETURN 'NOFN ' || _op.digest;
    END IF;
  END LOOP;

  FOR _op IN SELECT k, w, f FROM unnest(_kinds, _words, _frames) WITH ORDINALITY AS o (k, w, f, place)
    WHERE k <> 'C' ORDER BY place
  LOOP
    CASE _op.k
    WHEN 'F' THEN
      INSERT INTO functions (ns, digest, used, frame) VALUES (_ns, _op.w, _now, _op.f)
        ON CONFLICT (ns, digest) DO UPDATE SET frame = excluded.frame, used = excluded.used
        WHERE functions.frame IS DISTINCT FROM excluded.frame;
    WHEN 'B' THEN
      PERFORM queue_of(_ns, split_part(_op.w, E'\t', 3));
      INSERT INTO batches (ns, batch, n, address, function, ttl, submitted, sessions, label)
        VALUES (_ns, split_part(_op.w, E'\t', 1), split_part(_op.w, E'\t', 2)::bigint, split_part(_op.w, E'\t', 3),
          split_part(_op.w, E'\t', 4), split_part(_op.w, E'\t', 5)::bigint, _now, ARRAY[_session], _op.f)
        -- Sent again after a loss: what has ended is kept.
        ON CONFLICT (ns, batch) DO UPDATE SET n = excluded.n, address = excluded.address,
          function = excluded.function, ttl = excluded.ttl, sessions = excluded.sessions, label = excluded.label;
      INSERT INTO happened (ns, at, name, frame) VALUES (_ns, _now, split_part(_op.w, E'\t', 1), _op.f);
    WHEN 'N' THEN
      UPDATE batches SET n = split_part(_op.w, E'\t', 2)::bigint, label = _op.f
        WHERE ns = _ns AND batch = split_part(_op.w, E'\t', 1);
      INSERT INTO happened (ns, at, name, frame) VALUES (_ns, _now, split_part(_op.w, E'\t', 1), _op.f);
    WHEN 'O' THEN
      INSERT INTO batch_blobs (ns, batch, key) VALUES (_ns, split_part(_op.w, E'\t', 1), split_part(_op.w, E'\t', 2))
        ON CONFLICT DO NOTHING;
      UPDATE blobs SET expires = NULL WHERE ns = _ns AND key = split_part(_op.w, E'\t', 2) AND expires IS NOT NULL;
    ELSE
      RAISE EXCEPTION 'submit: % is no operation', _op.k;
    END CASE;
  END LOOP;

  INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, frame)
    SELECT _ns, q.queue, c.batch, rank_of(c.lane), nullif(c.due, 0), _now, c.first, c.count, 1, c.frame
      FROM (
        SELECT split_part(w, E'\t', 1) AS batch, split_part(w, E'\t', 2) AS address, split_part(w, E'\t', 3) AS lane,
          split_part(w, E'\t', 4)::bigint AS due, split_part(w, E'\t', 5)::bigint AS first,
          split_part(w, E'\t', 6)::bigint AS count, f AS frame, place
        FROM unnest(_kinds, _words, _frames) WITH ORDINALITY AS o (k, w, f, place) WHERE k = 'C'
      ) c JOIN queues q ON q.ns = _ns AND q.address = c.address
      ORDER BY c.place;
  UPDATE sessions SET last = _number, seen = _now WHERE ns = _ns AND session = _session;

  SELECT min(split_part(w, E'\t', 4)::bigint) INTO _due FROM unnest(_kinds, _words) AS o (k, w)
    WHERE k = 'C' AND split_part(w, E'\t', 4) <> '0';
  IF _due IS NOT NULL THEN PERFORM tell(_ns, 'due', _due::text::bytea); END IF;
  FOR _place IN
    SELECT split_part(w, E'\t', 2) AS address, count(*) AS entries FROM unnest(_kinds, _words) AS o (k, w)
      WHERE k = 'C' AND split_part(w, E'\t', 4) = '0' GROUP BY 1 ORDER BY 1
  LOOP
    PERFORM wake(_ns, _place.address, _place.entries);
  END LOOP;
  RETURN 'OK';
END $$;

-- Whether a lane holds so many entries. They are counted only where their numbers say that there may be so many.
CREATE FUNCTION is_full(_queue bigint, _rank smallint, _most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  _span bigint;
BEGIN
  SELECT max(id) - min(id) + 1 INTO _span FROM entries
    WHERE queue = _queue AND rank = _rank AND holder IS NULL AND due IS NULL;
  RETURN coalesce(_span, 0) >= _most AND (
    SELECT count(*) >= _most FROM entries WHERE queue = _queue AND rank = _rank AND holder IS NULL AND due IS NULL);
END $$;
