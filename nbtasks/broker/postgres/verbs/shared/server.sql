-- What verbs share that has to do with the server: its clock, namespaces, queues, and how those who wait are woken.

-- The server's time in ms, and in us.
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;
CREATE FUNCTION now_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- A lane's place in the order of service, as in core/lanenames.py, and back. Returned work of each priority goes first.
CREATE FUNCTION rank_of(_lane text) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
  SELECT (position(_lane IN '{lanes}') - 1)::smallint
$$;
CREATE FUNCTION lane_of(_rank smallint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT substr('{lanes}', _rank + 1, 1)
$$;

-- The number of a queue, which is made where it is new.
CREATE FUNCTION queue_of(_ns bigint, _address text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _queue bigint;
BEGIN
  SELECT queue INTO _queue FROM queues WHERE ns = _ns AND address = _address;
  IF _queue IS NULL THEN
    INSERT INTO queues (ns, address) VALUES (_ns, _address)
      ON CONFLICT (ns, address) DO UPDATE SET address = excluded.address RETURNING queue INTO _queue;
  END IF;
  RETURN _queue;
END $$;

-- What is lost here with the server's process costs nobody a call, so nobody waits for the disk. Counts for all that the
-- transaction does: a verb says it only where it is all that its caller does.
CREATE FUNCTION lazily() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _ text := set_config('synchronous_commit', 'off', true);
BEGIN
END $$;

-- Wake some of those who wait at a place, those first that came last: they are surely there, and their memory is warm.
-- The last thing that a verb does, when it has all its row locks. Who lies down to sleep (doze) has the lock for itself:
-- so it sees what was written before, or it is seen by whoever writes after it, and no call is left lying.
CREATE FUNCTION wake(_ns bigint, _place text, _most bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _channels text[];
  _channel text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1851946099, _ns::int);
  SELECT array_agg(s.channel) INTO _channels FROM (
    SELECT channel FROM sleepers WHERE ns = _ns AND place = _place
      ORDER BY since DESC LIMIT _most FOR UPDATE SKIP LOCKED
  ) s;
  IF _channels IS NULL THEN RETURN; END IF;
  -- Who is awake is not woken once more, at whatever place it waited too.
  DELETE FROM sleepers WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM sleepers WHERE channel = ANY (_channels) FOR UPDATE SKIP LOCKED));
  FOREACH _channel IN ARRAY _channels LOOP PERFORM pg_notify(_channel, ''); END LOOP;
END $$;

-- Wake one who waits at each of some places, as many as it is named times. The last thing that a verb does, too.
CREATE FUNCTION wake_each(_ns bigint, _places text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _one record;
BEGIN
  FOR _one IN SELECT p AS place, count(*) AS most FROM unnest(_places) AS p GROUP BY p LOOP
    PERFORM wake(_ns, _one.place, _one.most);
  END LOOP;
END $$;

-- Lie down at some places. What was written before is seen by what the same transaction reads after this.
CREATE FUNCTION doze(_ns bigint, _places text[], _channel text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _now bigint := now_us();
BEGIN
  PERFORM pg_advisory_xact_lock(1851946099, _ns::int);
  INSERT INTO sleepers (ns, place, channel, since) SELECT _ns, p, _channel, _now FROM unnest(_places) p
    ON CONFLICT (ns, place, channel) DO UPDATE SET since = excluded.since;
END $$;

-- Tell all supervisors something, by its kind.
CREATE FUNCTION tell(_ns bigint, _kind text, _data bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO control (ns, told, kind, data) VALUES (_ns, now_ms(), _kind, _data);
  PERFORM wake(_ns, 'ctl', 10000);
END $$;
