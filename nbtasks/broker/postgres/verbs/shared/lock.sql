-- What verbs share that has to do with locks. Whoever changes one, or who stands in its line, has it stand still until
-- the transaction ends (lock_still). A verb names all of its locks at once, after its own entries and before anything else
-- that others may wait for: calls that wait in the line, listeners, wake. docs/internals/postgresql.md has the whole order.

-- From here on nobody else changes these locks. What is read after this is what the last one has left.
CREATE FUNCTION lock_still(_ns bigint, _locks text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _key bigint;
BEGIN
  -- By their keys, of which two locks may have the same: so no two wait for each other.
  FOR _key IN SELECT DISTINCT hashtextextended(l COLLATE "C", _ns) FROM unnest(_locks) AS l ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(_key);
  END LOOP;
END $$;

-- A number that grows: it says who was first, and it is the token. It is not far behind the clock: so a standby that takes
-- over, and has not had the last ones, goes on above them. To be said when the verb has all its locks.
CREATE FUNCTION lock_ticket() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  _ticket bigint := nextval('lock_tickets');
BEGIN
  IF _ticket < now_us() - 1000000 THEN
    PERFORM pg_advisory_xact_lock(1851946100, 0);
    _ticket := nextval('lock_tickets');
    -- Others take tickets meanwhile, but not a million of them.
    IF _ticket < now_us() - 1000000 THEN _ticket := setval('lock_tickets', now_us()); END IF;
  END IF;
  RETURN _ticket;
END $$;

-- Whether there is a lease for a worker, or a client.
CREATE FUNCTION has_lease(_ns bigint, _worker text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RETURN EXISTS (SELECT FROM workers WHERE ns = _ns AND worker = _worker AND lease IS NOT NULL);
END $$;

-- The part of a consumer that has a lease.
CREATE FUNCTION worker_of(_consumer text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT regexp_replace(_consumer, '/[^/]*$', '')
$$;

-- Whether one in a line will never come: a call that has ended or that nobody knows, code whose process has no lease.
CREATE FUNCTION has_left(_ns bigint, _address text, _name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF _address = '@' THEN RETURN NOT has_lease(_ns, worker_of(worker_of(_name))); END IF;
  RETURN NOT EXISTS (SELECT FROM batches WHERE ns = _ns AND batch = split_part(_name, ':', 1))
    OR covered(_ns, split_part(_name, ':', 1), split_part(_name, ':', 2)::bigint, 1) > 0;
END $$;

-- How many more may hold a lock, for one who says how many may at most, himself not counted. The least that is said
-- counts: nobody holds it with more others than he has agreed to. Who was called has its place for a while.
CREATE FUNCTION lock_room(_ns bigint, _lock text, _capacity bigint, _name text, _now bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT least(_capacity, min(o.capacity)) - count(*) FROM (
    SELECT h.capacity FROM lock_holds h WHERE h.ns = _ns AND h.lock = _lock AND h.name <> _name
    UNION ALL
    SELECT l.capacity FROM lock_lines l WHERE l.ns = _ns AND l.lock = _lock AND l.name <> _name
      AND l.called > _now AND l.called <= _now + 5000
  ) o);
END $$;

-- Tell one of the line that it is its turn. Returns the place at which it is to be woken, NULL where nobody will come.
CREATE FUNCTION lock_summon(_ns bigint, _one lock_lines, _now bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  _comes boolean := NOT has_left(_ns, _one.address, _one.name);
BEGIN
  IF _comes AND _one.address <> '@' THEN
    -- With a new number it comes behind what was queued before.
    UPDATE entries e SET id = DEFAULT, due = NULL, waits_for = '', queued = _now, rank = e.rank / 2 * 2
      WHERE e.id = _one.entry AND e.waits_for = '@' || _one.lock AND e.batch || ':' || e.first = _one.name;
    _comes := FOUND;
  END IF;
  IF _comes THEN
    UPDATE lock_lines SET called = _now + 5000, entry = NULL
      WHERE ns = _ns AND name = _one.name AND lock = _one.lock;
    RETURN CASE WHEN _one.address = '@' THEN 'lock ' || _one.name ELSE _one.address END;
  END IF;
  PERFORM lock_left(_ns, _one);
  RETURN NULL;
END $$;

-- Somebody is not in a line any more; nor is what it lay in.
CREATE FUNCTION lock_left(_ns bigint, _one lock_lines) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM entries e WHERE e.id = _one.entry AND e.waits_for = '@' || _one.lock
    AND e.batch || ':' || e.first = _one.name;
  DELETE FROM lock_lines WHERE ns = _ns AND name = _one.name AND lock = _one.lock;
END $$;

-- Have those come whose turn it is, in their order. Where one was called and has not come, its queue has nobody who would
-- take it for now: others of that queue are passed over until it comes. Returns the places to be woken.
CREATE FUNCTION lock_on(_ns bigint, _lock text, _now bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  _late text[];
  _one lock_lines;
  _place text;
  _places text[] := '{}';
  _left bigint := 500;
BEGIN
  FOR _one IN
    SELECT * FROM lock_lines l WHERE l.ns = _ns AND l.lock = _lock AND l.called IS NULL ORDER BY l.ticket LIMIT 2500
  LOOP
    IF _late IS NULL THEN
      _late := ARRAY(SELECT l.address FROM lock_lines l WHERE l.ns = _ns AND l.lock = _lock AND l.address <> '@'
        AND l.called > 0 AND NOT (l.called > _now AND l.called <= _now + 5000));
    END IF;
    CONTINUE WHEN _one.address = ANY (_late);
    -- Of many that have ended in the line, others take care a moment later.
    EXIT WHEN _left = 0 OR lock_room(_ns, _lock, _one.capacity, _one.name, _now) < 1;
    _left := _left - 1;
    _place := lock_summon(_ns, _one, _now);
    IF _place IS NOT NULL THEN _places := _places || _place; END IF;
  END LOOP;
  RETURN _places;
END $$;

-- Somebody is through with a lock, whether it has held it or was only called to it. Returns the places to be woken.
CREATE FUNCTION lock_through(_ns bigint, _lock text, _name text, _consumer text, _now bigint) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM lock_holds WHERE ns = _ns AND lock = _lock AND name = _name AND consumer = _consumer;
  DELETE FROM lock_lines WHERE ns = _ns AND lock = _lock AND name = _name AND called > 0;
  RETURN lock_on(_ns, _lock, _now);
END $$;

-- Take locks that stand still, all of them or none. Returns the token; or none, which one is to be waited for, the ticket of
-- one who has waited before, and whether somebody who has waited for longer could have it.
CREATE FUNCTION lock_taken(
  _ns bigint, _locks text[], _capacities bigint[], _name text, _consumer text, _title text, _now bigint,
  OUT token bigint, OUT place bigint, OUT had bigint, OUT others boolean
) LANGUAGE plpgsql AS $$
DECLARE
  _whose text;
  _first bigint;
BEGIN
  others := false;
  SELECT min(l.ticket) INTO had FROM lock_lines l
    WHERE l.ns = _ns AND l.name = _name AND l.lock = ANY (_locks) AND l.called > 0;
  FOR _k IN 1 .. array_length(_locks, 1) LOOP
    place := _k;
    SELECT h.consumer INTO _whose FROM lock_holds h WHERE h.ns = _ns AND h.lock = _locks[_k] AND h.name = _name;
    CONTINUE WHEN _whose = _consumer;
    -- It runs somewhere else, or did a moment ago: then this is a copy, which waits for its end.
    IF _whose IS NOT NULL OR lock_room(_ns, _locks[_k], _capacities[_k], _name, _now) < 1 THEN RETURN; END IF;
    SELECT l.ticket INTO _first FROM lock_lines l
      WHERE l.ns = _ns AND l.lock = _locks[_k] AND l.called IS NULL ORDER BY l.ticket LIMIT 1;
    -- Those that are passed over do not keep others from their turn.
    IF (had IS NULL OR _first < had) AND _first IS NOT NULL AND NOT EXISTS (
      SELECT FROM lock_lines l WHERE l.ns = _ns AND l.lock = _locks[_k] AND l.name = _name AND l.called > _now
        AND l.called <= _now + 5000
    ) THEN
      others := true;
      RETURN;
    END IF;
  END LOOP;
  place := NULL;
  token := lock_ticket();
  INSERT INTO lock_holds (ns, lock, name, capacity, token, since, worker, consumer, title)
    SELECT _ns, w.lock, _name, w.capacity, lock_taken.token, _now, worker_of(_consumer), _consumer, _title
      FROM unnest(_locks, _capacities) AS w (lock, capacity)
    ON CONFLICT (ns, lock, name) DO UPDATE SET capacity = excluded.capacity, token = excluded.token,
      since = excluded.since, title = excluded.title;
  IF had IS NOT NULL THEN
    DELETE FROM lock_lines l WHERE l.ns = _ns AND l.name = _name AND l.lock = ANY (_locks) AND l.called > 0;
  END IF;
END $$;

-- Have somebody wait for a lock; one who has waited before has its old place.
CREATE FUNCTION lock_wait(
  _ns bigint, _lock text, _name text, _capacity bigint, _ticket bigint, _address text, _entry bigint
) RETURNS void LANGUAGE sql AS $$
  INSERT INTO lock_lines (ns, lock, name, capacity, ticket, address, entry)
    VALUES (_ns, _lock, _name, _capacity, _ticket, _address, _entry)
    ON CONFLICT (ns, name, lock) DO UPDATE SET capacity = excluded.capacity, ticket = excluded.ticket,
      address = excluded.address, entry = excluded.entry, called = NULL
$$;

-- Each lock that somebody waits for, once, and NULL at the end.
CREATE FUNCTION lines_of(_ns bigint) RETURNS TABLE (lock text) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE found AS (
    SELECT min(l.lock) AS lock FROM lock_lines l WHERE l.ns = _ns
    UNION ALL
    SELECT (SELECT min(l.lock) FROM lock_lines l WHERE l.ns = _ns AND l.lock > found.lock) FROM found
      WHERE found.lock IS NOT NULL
  ) SELECT found.lock FROM found
$$;
