-- Store results (the first one wins), tell the sessions, put retries aside, end entries: one report of a worker.
--
-- _push      largest record that is pushed whole (bytes)
-- _kinds, _words, _frames: the operations in the order in which they are applied, each with its words, parted by tabs,
-- and its bytes
--   R  batch, first, count, states (hexadecimal)                   results of calls in a row; their record
--   E  batch                                                       an event for its sessions
--   P  batch, first, count                                         a state of the tasks' own, or none: it is over
--   Z  batch, address, lane, due (ms), first, count, attempt, limit  to be run again then; its frame
--   Y  as Z, and an id, batches with blanks between them           to be run again when these have ended, at the latest then
--   O  batch, key                                                  a blob that belongs to a result
--   N  batch, first, names (64 hexadecimal digits a call)          results that are there, for later runs
--   U  lock, name, consumer                                        a call is through with a lock
--   S  batch                                                       its number of calls is known: it may be over
--   H  "1" or ""                                                   a note of what happened; with "1" of those results
--                                                                  that stand before it and were new
-- _ended   entries that are done
-- _cut, _stops  those of them of which a part was given away, with the index after the last call that was kept
-- _batches  whose results these are, and those that somebody is to wait for
-- Returns how many results were new. What is about a batch that nobody knows is passed over.
CREATE FUNCTION finish(
  _ns bigint, _push bigint, _kinds text[], _words text[], _frames bytea[], _ended bigint[], _cut bigint[],
  _stops bigint[], _batches text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
  _fresh bigint := 0;
  _kind text;
  _w text[];
  _frame bytea;
  _ttl bigint;
  _over bigint;
  _sessions text[];
  _batch text := NULL;
  _known boolean := false;
  _done bigint;
  _won bigint;
  _wins text;
  -- Which of the last results were new: '' for all of them, NULL for none.
  _news text := NULL;
  _told news_in[] := '{}';
  _due bigint;
  _happened boolean := false;
  _address text;
  _again text[];
  -- What calls are through with: locks, and in other lists whose they were.
  _locks text[];
  _names text[];
  _consumers text[];
  _entry bigint;
  -- What belongs to batches that others wait for, or that wait for others.
  _is_tied boolean := false;
  _tied text[] := '{}';
  _of text[] := '{}';
  _firsts bigint[] := '{}';
  _counts bigint[] := '{}';
  _bad text[] := '{}';
  _failed boolean := false;
  _queues bigint[];
BEGIN
  -- In one order, so that no two reports wait for each other.
  IF array_length(_batches, 1) > 1 THEN
    PERFORM 1 FROM batches WHERE ns = _ns AND batch = ANY (_batches) ORDER BY batch FOR NO KEY UPDATE;
  END IF;
  FOR _place IN 1 .. coalesce(array_length(_kinds, 1), 0) LOOP
    _kind := _kinds[_place];
    _w := string_to_array(_words[_place], E'\t');
    _frame := _frames[_place];
    IF _kind = 'H' THEN
      IF _w[1] IS DISTINCT FROM '1' OR _news IS NOT NULL THEN
        INSERT INTO happened (ns, at, name, wins, frame) VALUES (_ns, _now, 'h',
          CASE WHEN _w[1] = '1' THEN nullif(_news, '') END, _frame);
        _happened := true;
      END IF;
      CONTINUE;
    ELSIF _kind = 'U' THEN
      _locks := _locks || _w[1];
      _names := _names || _w[2];
      _consumers := _consumers || _w[3];
      CONTINUE;
    END IF;
    IF _w[1] IS DISTINCT FROM _batch THEN
      IF _known THEN PERFORM settled(_ns, _batch, _done, _now); END IF;
      _batch := _w[1];
      SELECT done, ttl, ended, sessions, tied INTO _done, _ttl, _over, _sessions, _is_tied FROM batches
        WHERE ns = _ns AND batch = _batch FOR NO KEY UPDATE;
      _known := FOUND;
      IF _is_tied THEN _tied := _tied || _batch; END IF;
    END IF;
    CONTINUE WHEN NOT _known;
    CASE _kind
    WHEN 'R' THEN
      SELECT won, wins INTO _won, _wins
        FROM recorded(_ns, _batch, _w[2]::bigint, _w[3]::bigint, decode(_w[4], 'hex'), _frame, _done > 0);
      _done := _done + _won;
      _fresh := _fresh + _won;
      _news := CASE WHEN _won > 0 THEN _wins END;
      IF _won > 0 THEN
        _told := _told || ROW('r', _batch, _w[2]::bigint, _w[3]::bigint, _wins, _frame, _sessions)::news_in;
        IF _is_tied THEN
          _of := _of || array_fill(_batch, ARRAY[array_length(ranges_in(_wins, _w[2], _w[3]), 1)]);
          SELECT _firsts || array_agg(split_part(r, '+', 1)::bigint), _counts || array_agg(split_part(r, '+', 2)::bigint)
            INTO _firsts, _counts FROM unnest(ranges_in(_wins, _w[2], _w[3])) AS r;
          -- 04 is SUCCESS, as in core/states.py.
          IF replace(_w[4], '04', '') <> '' THEN _bad := _bad || _batch; END IF;
        END IF;
      END IF;
    WHEN 'E' THEN
      _told := _told || ROW('e', _batch, 0, 0, '', _frame, _sessions)::news_in;
    WHEN 'P' THEN
      IF octet_length(_frame) > 0 THEN
        INSERT INTO own_states (ns, batch, index, told, frame) VALUES (_ns, _batch, _w[2]::bigint, _now, _frame)
          ON CONFLICT (ns, batch, index) DO UPDATE SET told = excluded.told, frame = excluded.frame;
      ELSE
        DELETE FROM own_states WHERE ns = _ns AND batch = _batch
          AND index >= _w[2]::bigint AND index < _w[2]::bigint + _w[3]::bigint;
      END IF;
    WHEN 'Z', 'Y' THEN
      -- Said again, it is the same one.
      IF NOT EXISTS (
        SELECT FROM entries WHERE batch = _batch AND due = _w[4]::bigint AND first = _w[5]::bigint
          AND count = _w[6]::bigint AND attempt = _w[7]::bigint
      ) THEN
        INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, waits_for, frame)
          VALUES (_ns, queue_of(_ns, _w[2]), _batch, rank_of(_w[3]), _w[4]::bigint, _now, _w[5]::bigint,
            _w[6]::bigint, _w[7]::bigint, coalesce(_w[8], ''), _frame) RETURNING id INTO _entry;
        IF _kind = 'Y' AND put_aside(_ns, _w[9], _entry, string_to_array(_w[10], ' ')) THEN
          UPDATE entries SET due = NULL WHERE id = _entry RETURNING ARRAY[queue] || _queues INTO _queues;
        END IF;
      END IF;
      _due := least(_due, _w[4]::bigint);
    WHEN 'O' THEN
      IF _over IS NULL THEN
        INSERT INTO batch_blobs (ns, batch, key) VALUES (_ns, _batch, _w[2]) ON CONFLICT DO NOTHING;
        UPDATE blobs SET expires = NULL WHERE ns = _ns AND key = _w[2] AND expires IS NOT NULL;
      END IF;
    WHEN 'N' THEN
      PERFORM named(_ns, _batch, _w[2]::bigint, _w[3], _now + least(_ttl, 3155760000000));
    WHEN 'S' THEN
      NULL;
    ELSE
      RAISE EXCEPTION 'finish: % is no operation', _kind;
    END CASE;
  END LOOP;
  IF _known THEN PERFORM settled(_ns, _batch, _done, _now); END IF;
  IF array_length(_tied, 1) > 0 THEN
    SELECT _queues || a.queues, least(_due, a.due), a.failed INTO _queues, _due, _failed
      FROM advanced(_ns, _now, _tied, _of, _firsts, _counts, _bad) a;
  END IF;

  IF array_length(_cut, 1) > 0 THEN
    -- Where the server has forgotten what was given away of one, that is queued again.
    WITH parts AS (SELECT id, stop FROM unnest(_cut, _stops) AS c (id, stop)), lost AS (
      INSERT INTO entries (ns, queue, batch, rank, queued, first, count, attempt, flag, frame)
        SELECT e.ns, e.queue, e.batch, e.rank / 2 * 2, _now, p.stop, e.first + e.count - p.stop, e.attempt, '2', e.frame
          FROM parts p JOIN entries e ON e.id = p.id WHERE e.first + e.count > p.stop
        RETURNING queue
    )
    SELECT array_agg(DISTINCT q.address) INTO _again FROM lost JOIN queues q ON q.queue = lost.queue;
  END IF;
  -- One by one: a plan for all of them that is made while there are few entries would read the whole queue each time.
  FOREACH _entry IN ARRAY _ended LOOP DELETE FROM entries WHERE id = _entry; END LOOP;
  IF _locks IS NOT NULL THEN
    -- After the entries: who asks for locks has its entry first, too.
    PERFORM lock_still(_ns, _locks);
    FOR _place IN 1 .. array_length(_locks, 1) LOOP
      _again := _again || lock_through(_ns, _locks[_place], _names[_place], _consumers[_place], now_ms());
    END LOOP;
  END IF;
  _again := _again || told_to(_ns, _told, _push, _now);
  IF _due IS NOT NULL THEN PERFORM tell(_ns, 'due', _due::text::bytea); END IF;
  IF _failed THEN PERFORM tell(_ns, 'wf', ''); END IF;
  FOREACH _address IN ARRAY coalesce(_again, '{}') LOOP PERFORM wake(_ns, _address, 10); END LOOP;
  IF _happened THEN PERFORM wake(_ns, 'happened', 100); END IF;
  IF array_length(_queues, 1) > 0 THEN PERFORM wake_all(_ns, _queues); END IF;
  RETURN _fresh;
END $$;

-- File a record under those of its calls that have no result yet. Returns how many, and which: '' for all of them.
CREATE FUNCTION recorded(
  _ns bigint, _batch text, _first bigint, _count bigint, _states bytea, _record bytea, _look boolean,
  OUT won bigint, OUT wins text
) LANGUAGE plpgsql AS $$
DECLARE
  _from bigint := _first;
  _there record;
BEGIN
  won := 0;
  wins := '';
  IF _look THEN
    FOR _there IN
      SELECT r.first, r.count FROM results_of(_ns, _batch, _first, _count) r ORDER BY r.first
    LOOP
      IF _there.first > _from THEN
        INSERT INTO results (ns, batch, first, count, states, record) VALUES (_ns, _batch, _from, _there.first - _from,
          substr(_states, (_from - _first + 1)::int, (_there.first - _from)::int), _record);
        won := won + _there.first - _from;
        wins := wins || ' ' || _from || '+' || (_there.first - _from);
      END IF;
      _from := _there.first + _there.count;
    END LOOP;
  END IF;
  IF _from >= _first + _count THEN
    wins := ltrim(wins);
    RETURN;
  END IF;
  INSERT INTO results (ns, batch, first, count, states, record) VALUES (_ns, _batch, _from, _first + _count - _from,
    substr(_states, (_from - _first + 1)::int), _record);
  IF _from > _first OR won > 0 THEN wins := ltrim(wins || ' ' || _from || '+' || (_first + _count - _from)); END IF;
  won := won + _first + _count - _from;
END $$;

-- Which of some calls are meant: '' are all of them.
CREATE FUNCTION ranges_in(_wins text, _first text, _count text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN _wins = '' THEN ARRAY[_first || '+' || _count] ELSE string_to_array(_wins, ' ') END
$$;

-- Note how many calls of a batch have ended; one whose calls all have is kept for its time from now on, unless others may
-- need it: then that is for closed().
CREATE FUNCTION settled(_ns bigint, _batch text, _done bigint, _now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE batches SET done = _done,
      ended = CASE WHEN n >= 0 AND _done >= n THEN coalesce(ended, _now) ELSE ended END,
      expires = CASE WHEN n >= 0 AND _done >= n AND NOT tied THEN coalesce(expires, _now + least(ttl, 3155760000000)) ELSE expires END
    WHERE ns = _ns AND batch = _batch AND (done <> _done OR (ended IS NULL AND n >= 0 AND _done >= n));
END $$;

-- A name leads to the call that has its result, for as long as results are kept.
CREATE FUNCTION named(_ns bigint, _batch text, _first bigint, _names text, _until bigint) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO kept_calls (ns, name, batch, index, expires)
    SELECT DISTINCT ON (c.name) _ns, c.name, _batch, c.index, _until
      FROM (
        SELECT substr(_names, (64 * k + 1)::int, 64) AS name, _first + k AS index
          FROM generate_series(0, length(_names) / 64 - 1) AS k
      ) c JOIN results r ON r.ns = _ns AND r.batch = _batch AND r.first <= c.index AND r.first + r.count > c.index
      -- 4 is SUCCESS, as in core/states.py.
      WHERE c.name <> repeat('0', 64) AND get_byte(r.states, (c.index - r.first)::int) = 4
      ORDER BY c.name
    ON CONFLICT (ns, name) DO UPDATE SET batch = excluded.batch, index = excluded.index, expires = excluded.expires
$$;

-- Tell sessions news; returns those. Each of their rows is locked from here on, in one order: the last thing but to wake.
CREATE FUNCTION told_to(_ns bigint, _told news_in[], _push bigint, _now bigint) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  _sessions text[];
  _session text;
  _last bigint;
  _unread bigint;
BEGIN
  IF array_length(_told, 1) IS NULL THEN RETURN NULL; END IF;
  SELECT array_agg(DISTINCT s ORDER BY s) INTO _sessions FROM unnest(_told) AS t, unnest(t.sessions) AS s;
  FOREACH _session IN ARRAY coalesce(_sessions, '{}') LOOP
    -- By the clock where the server has lost the last number: who reads on from there misses nothing.
    INSERT INTO listeners AS l (ns, session, last) VALUES (_ns, _session, now_us())
      ON CONFLICT (ns, session) DO UPDATE SET last = greatest(l.last, now_us()) RETURNING l.last INTO _last;
    SELECT count(*) INTO _unread FROM (SELECT FROM news WHERE ns = _ns AND session = _session LIMIT 500) AS unread;
    INSERT INTO news (ns, id, told, session, kind, batch, first, count, wins, frame)
      SELECT _ns, _last + o.place, _now, _session, o.kind, o.batch, o.first, o.count, o.wins,
          CASE WHEN o.kind <> 'r' OR (octet_length(o.frame) <= _push AND _unread + o.place <= 500)
            THEN o.frame ELSE '' END
        FROM (
          SELECT t.*, row_number() OVER () AS place FROM unnest(_told) AS t WHERE _session = ANY (t.sessions)
        ) o;
    UPDATE listeners SET last = _last + array_length(_told, 1) WHERE ns = _ns AND session = _session;
  END LOOP;
  RETURN _sessions;
END $$;
