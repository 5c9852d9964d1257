-- All endpoints of person p's team, removed ones too, and p's rights on each,
-- so that a list asks once and not for each of its rows. The rights are
-- decided by endpoint_rights_of(), which the planner joins in.
CREATE FUNCTION endpoint_rights_all(p bigint)
RETURNS TABLE (endpoint_id bigint, control boolean, record boolean, manage boolean,
               playback boolean)
LANGUAGE sql STABLE AS $$
    SELECT e.id, r.control, r.record, r.manage, r.playback
    FROM people w
    JOIN endpoints e ON e.team_id = w.team_id
    CROSS JOIN LATERAL endpoint_rights_of(p, e.id) r
    WHERE w.id = p
$$;
CREATE INDEX endpoints_team ON endpoints (team_id);
