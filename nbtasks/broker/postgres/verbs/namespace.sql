-- The number of a namespace, which is made where it is new.
CREATE FUNCTION namespace(_name text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _ns bigint;
BEGIN
  SELECT ns INTO _ns FROM namespaces WHERE name = _name;
  IF _ns IS NULL THEN
    INSERT INTO namespaces (name) VALUES (_name) ON CONFLICT (name) DO UPDATE SET name = excluded.name
      RETURNING ns INTO _ns;
  END IF;
  RETURN _ns;
END $$;
