-- How some entries stand, in their order. Those that are over end.
CREATE FUNCTION living(_ns bigint, _ids bigint[], _batches text[], _firsts bigint[], _counts bigint[])
RETURNS TABLE (over boolean, suspect boolean, told boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  FOR _place IN 1 .. coalesce(array_length(_ids, 1), 0) LOOP
    SELECT s.over, s.suspect, s.told INTO over, suspect, told
      FROM standing_of(_ns, _batches[_place], _firsts[_place], _counts[_place]) s;
    IF over THEN DELETE FROM entries e WHERE e.id = _ids[_place]; END IF;
    RETURN NEXT;
  END LOOP;
END $$;
