-- Tell the server's time (us), and what its clock is ahead (ms, or '').
CREATE FUNCTION server_time(_ns bigint, OUT at bigint, OUT ahead text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  at := now_us();
  ahead := coalesce((SELECT value FROM facts WHERE ns = _ns AND name = 'ahead'), '');
END $$;

-- Note that the server's clock was set. Returns whether nobody else was first.
CREATE FUNCTION set_ahead(_ns bigint, _before text, _ahead text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  IF _before = '' THEN
    INSERT INTO facts (ns, name, value) VALUES (_ns, 'ahead', _ahead) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE facts SET value = _ahead WHERE ns = _ns AND name = 'ahead' AND value = _before;
  END IF;
  RETURN FOUND;
END $$;
