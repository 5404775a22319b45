CREATE FUNCTION function_record(_ns bigint, _digest text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT frame FROM functions WHERE ns = _ns AND digest = _digest);
END $$;

-- Signed graphs of workflows, and groups, which are kept for a time.
CREATE FUNCTION plan(_ns bigint, _name text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT frame FROM plans WHERE ns = _ns AND name = _name AND (expires IS NULL OR expires > now_ms()));
END $$;

CREATE FUNCTION keep_plan(_ns bigint, _name text, _frame bytea, _ttl bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  INSERT INTO plans (ns, name, expires, frame) VALUES (_ns, _name, now_ms() + _ttl, _frame)
    ON CONFLICT (ns, name) DO UPDATE SET expires = excluded.expires, frame = excluded.frame
$$;
