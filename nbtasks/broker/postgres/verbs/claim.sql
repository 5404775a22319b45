-- Be the call that a key stands for, unless there is one that waits or runs.
--
-- _span   ms for which it counts, 0 for as long as it waits or runs
-- _grace  ms for which a claim is believed whose batch is not recorded yet
-- Returns the batch of the call that there is: the own one where there was none.
CREATE FUNCTION claim(_ns bigint, _key text, _batch text, _span bigint, _grace bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint;
  _there record;
BEGIN
  -- Of several who come at once, one makes the row, and the others wait for it here.
  INSERT INTO unique_calls (ns, key, batch, since, until) VALUES (_ns, _key, _batch, now_ms(), 0)
    ON CONFLICT (ns, key) DO NOTHING;
  SELECT * INTO _there FROM unique_calls WHERE ns = _ns AND key = _key FOR NO KEY UPDATE;
  _now := now_ms();
  IF _there.batch <> _batch AND (_there.until = 0 OR _now < _there.until) THEN
    IF NOT EXISTS (SELECT FROM batches WHERE ns = _ns AND batch = _there.batch) THEN
      IF _there.since <= _now AND _now - _there.since < _grace THEN RETURN _there.batch; END IF;
    ELSIF covered(_ns, _there.batch, 0, 1) = 0 THEN
      RETURN _there.batch;
    END IF;
  END IF;
  UPDATE unique_calls SET batch = _batch, since = _now, until = CASE WHEN _span > 0 THEN _now + _span ELSE 0 END
    WHERE ns = _ns AND key = _key;
  RETURN _batch;
END $$;
