-- Returns index and signed order of those that revoked some of these calls while they ran; index -1 is all of the batch.
CREATE FUNCTION revoked_running(_ns bigint, _batch text, _first bigint, _count bigint)
RETURNS TABLE (index bigint, frame bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT r.index, r.frame FROM revocations r WHERE r.ns = _ns AND r.batch = _batch
    AND (r.index = -1 OR (r.index >= _first AND r.index < _first + _count));
END $$;
