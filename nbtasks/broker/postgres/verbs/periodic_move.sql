-- Pass over due times of a periodic task.
--
-- _due      the first of them (ms)
-- _next     when it is due next (ms); NULL where it never is
-- _missed   how many are counted as missed
-- _is_gone  whether whoever it ends with is gone
-- Returns false where somebody else has moved on meanwhile.
CREATE FUNCTION periodic_pass(
  _ns bigint, _key_id text, _id text, _due bigint, _next bigint, _missed bigint, _is_gone boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- Forgotten by a server that crashes, it is due as before, and nothing was counted.
  PERFORM lazily();
  UPDATE periodic_tasks SET due = _next, missed = missed + _missed,
      gone = CASE WHEN _is_gone THEN coalesce(gone, now_ms()) END
    WHERE ns = _ns AND key_id = _key_id AND id = _id AND due = _due;
  RETURN FOUND;
END $$;

-- Have a periodic task pause. Returns whether there is one.
CREATE FUNCTION periodic_pause(_ns bigint, _key_id text, _id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  UPDATE periodic_tasks SET paused = coalesce(paused, now_ms()), due = NULL
    WHERE ns = _ns AND key_id = _key_id AND id = _id;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM tell(_ns, 'sd', '');
  RETURN true;
END $$;

-- Have one go on, which is due next then (ms); one that does not pause keeps its due time. Returns whether there is one.
CREATE FUNCTION periodic_resume(_ns bigint, _key_id text, _id text, _next bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  UPDATE periodic_tasks SET paused = NULL, due = CASE WHEN paused IS NULL THEN due ELSE _next END
    WHERE ns = _ns AND key_id = _key_id AND id = _id;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM tell(_ns, 'sd', '');
  RETURN true;
END $$;

-- Remove one; its runs go on. Returns whether there was one, which ended with that client, where one is named.
CREATE FUNCTION periodic_remove(_ns bigint, _key_id text, _id text, _client text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  DELETE FROM periodic_tasks WHERE ns = _ns AND key_id = _key_id AND id = _id AND (_client = '' OR client = _client);
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM tell(_ns, 'sd', '');
  RETURN true;
END $$;
