-- What is known of some batches, in the order in which they are named.
CREATE FUNCTION batches_named(_ns bigint, _batches text[])
RETURNS TABLE (batch text, label bytea, submitted bigint, ended bigint, n bigint, done bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT b.batch, b.label, b.submitted, b.ended, b.n, b.done
    FROM unnest(_batches) WITH ORDINALITY AS a (name, place) JOIN batches b ON b.ns = _ns AND b.batch = a.name
    WHERE b.expires IS NULL OR b.expires > now_ms() ORDER BY a.place;
END $$;

-- The same of the newest ones, newest first; their labels only where they are asked for.
CREATE FUNCTION newest_batches(_ns bigint, _most bigint, _labels boolean)
RETURNS TABLE (batch text, label bytea, submitted bigint, ended bigint, n bigint, done bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT b.batch, CASE WHEN _labels THEN b.label END, b.submitted, b.ended, b.n, b.done FROM batches b
    WHERE b.ns + 0 = _ns AND (b.expires IS NULL OR b.expires > now_ms())
    ORDER BY b.submitted DESC, b.batch DESC LIMIT _most;
END $$;

-- Have the news of a batch sent to one more session; those before the last few are dropped. False: nobody knows it.
CREATE FUNCTION adopt(_ns bigint, _batch text, _session text, _most bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _sessions text[];
BEGIN
  SELECT array_remove(sessions, _session) || _session INTO _sessions FROM batches
    WHERE ns = _ns AND batch = _batch FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE batches SET sessions = _sessions[greatest(1, array_length(_sessions, 1) - _most + 1):]
    WHERE ns = _ns AND batch = _batch;
  RETURN true;
END $$;

-- Drop a batch with its results. Returns the keys of its large values, which are still there.
CREATE FUNCTION forget(_ns bigint, _batch text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- What was kept because of it may go now.
  INSERT INTO closing (ns, batch) SELECT _ns, batch FROM batches WHERE ns = _ns AND batch = _batch AND tied;
  DELETE FROM batches WHERE ns = _ns AND batch = _batch;
  DELETE FROM results WHERE ns = _ns AND batch = _batch;
  DELETE FROM revocations WHERE ns = _ns AND batch = _batch;
  DELETE FROM own_states WHERE ns = _ns AND batch = _batch;
  -- Who asks drops these values soon. Killed before, it leaves them, and they go a day later.
  RETURN QUERY WITH links AS (
    DELETE FROM batch_blobs WHERE ns = _ns AND batch = _batch RETURNING key
  ), expiring AS (
    UPDATE blobs b SET expires = now_ms() + 86400000 FROM links l
      WHERE b.ns = _ns AND b.key = l.key AND b.expires IS NULL
        AND NOT EXISTS (SELECT FROM batch_blobs o WHERE o.ns = _ns AND o.key = b.key AND o.batch <> _batch)
  )
  SELECT key FROM links;
END $$;

-- Note that a call is not wanted any more that shares its batch with others. Returns how many still are.
CREATE FUNCTION forget_call(_ns bigint, _batch text, _index bigint, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _left bigint;
BEGIN
  UPDATE batches SET unwanted = array_remove(unwanted, _index) || _index
    WHERE ns = _ns AND batch = _batch AND n > _index AND n <= _most
    RETURNING n - array_length(unwanted, 1) INTO _left;
  RETURN coalesce(_left, 0);
END $$;

CREATE FUNCTION forgotten(_ns bigint, _batch text) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT unnest(unwanted) FROM batches WHERE ns = _ns AND batch = _batch
$$;

CREATE FUNCTION own_states_of(_ns bigint, _batch text) RETURNS TABLE (index bigint, frame bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT index, frame FROM own_states WHERE ns = _ns AND batch = _batch AND told > now_ms() - 86400000 ORDER BY index
$$;
