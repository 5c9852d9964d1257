-- X7: "session_lost" that turned out wrong has a "session_lost_corrected"
-- behind it. Sessions of before, that ended otherwise after all.
INSERT INTO audit (team_id, actor, action, object, detail)
SELECT s.team_id, 'relay', 'session_lost_corrected', s.id::text,
       jsonb_build_object('why', 'it ended later and otherwise')
FROM sessions s
WHERE s.end_code IS DISTINCT FROM 'node_lost'
  AND s.id::text IN (SELECT object FROM audit WHERE action = 'session_lost');
