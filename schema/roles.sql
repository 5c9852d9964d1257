-- The database roles of Relaycam, one a program. A superuser runs this once
-- in the database, before the first "relaycam migrate", and again after an
-- update that says so; running it again changes nothing:
--
--     relaycam migrate --roles | psql -X -v ON_ERROR_STOP=1 -d relaycam
--
-- relaycam_owner owns all tables and is used by "relaycam migrate" alone; the
-- others have what schema/grants.sql says. All can log in, none has a
-- password: peer, certificate or \password, as the site likes. A site may
-- give its own login roles instead: GRANT relaycam_relay TO my_login.
-- docs/hardening.md.

DO $roles$
DECLARE
    space text := current_schema();
    owner_before oid;
    r text;
    o record;
BEGIN
    FOREACH r IN ARRAY ARRAY['relaycam_owner', 'relaycam_relay',
        'relaycam_storage', 'relaycam_console', 'relaycam_admin']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB '
                           'NOCREATEROLE NOREPLICATION NOBYPASSRLS', r);
        END IF;
    END LOOP;

    -- nobody else connects, or leaves things in the way
    EXECUTE format('ALTER DATABASE %I OWNER TO relaycam_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', space);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO relaycam_owner', space);
    FOREACH r IN ARRAY ARRAY['relaycam_relay', 'relaycam_storage',
        'relaycam_console', 'relaycam_admin']
    LOOP
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), r);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', space, r);
    END LOOP;

    -- an installation from before this: its objects change hands
    SELECT relowner INTO owner_before FROM pg_class
    WHERE oid = to_regclass(format('%I.schema_migrations', space));
    FOR o IN
        SELECT format('ALTER TABLE %s OWNER TO relaycam_owner', c.oid::regclass) AS sql
        FROM pg_class c
        WHERE c.relnamespace = space::regnamespace AND c.relowner = owner_before
          AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
          AND c.relowner <> 'relaycam_owner'::regrole -- takes no lock in vain
          AND NOT EXISTS (SELECT FROM pg_depend d -- goes with its table
                          WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', 'e')
                            AND d.classid = 'pg_class'::regclass)
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO relaycam_owner', p.oid::regprocedure)
        FROM pg_proc p
        WHERE p.pronamespace = space::regnamespace AND p.proowner = owner_before
          AND p.proowner <> 'relaycam_owner'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.objid = p.oid AND d.deptype = 'e'
                            AND d.classid = 'pg_proc'::regclass)
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO relaycam_owner', t.oid::regtype)
        FROM pg_type t
        JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' -- no table's
        WHERE t.typnamespace = space::regnamespace AND t.typowner = owner_before
          AND t.typowner <> 'relaycam_owner'::regrole
    LOOP
        EXECUTE o.sql;
    END LOOP;
END
$roles$;
