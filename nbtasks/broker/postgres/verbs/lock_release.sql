-- Give locks back, or leave their lines.
CREATE FUNCTION lock_release(_ns bigint, _name text, _consumer text, _locks text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint;
  _lock text;
  _places text[] := '{}';
BEGIN
  PERFORM lock_still(_ns, _locks);
  _now := now_ms();
  FOREACH _lock IN ARRAY _locks LOOP
    DELETE FROM lock_lines WHERE ns = _ns AND name = _name AND lock = _lock AND address = '@';
    _places := _places || lock_through(_ns, _lock, _name, _consumer, _now);
  END LOOP;
  PERFORM wake_each(_ns, _places);
  DELETE FROM sleepers WHERE ns = _ns AND place = 'lock ' || _name;
END $$;

-- Whether somebody holds so many of these locks with this token.
CREATE FUNCTION locks_held(_ns bigint, _locks text[], _name text, _token bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT count(*) FROM lock_holds
    WHERE ns = _ns AND lock = ANY (_locks) AND name = _name AND token = _token);
END $$;
