-- Single sign-on by OpenID Connect: a provider per team, who its people are,
-- and what was read from it.

CREATE TABLE single_sign_on (
    team_id        bigint PRIMARY KEY REFERENCES teams ON DELETE CASCADE,
    enabled        boolean NOT NULL DEFAULT false,
    listed         boolean NOT NULL DEFAULT true, -- on the login page of the site
    title          text NOT NULL DEFAULT 'Single sign-on'
                   CHECK (length(title) BETWEEN 1 AND 100),
    issuer         text NOT NULL CHECK (issuer ~ '^https://[!-~]+$' AND length(issuer) <= 500),
    client_id      text NOT NULL CHECK (length(client_id) BETWEEN 1 AND 500),
    secret_sealed  bytea,           -- secretbox; NULL: a public client
    algorithm      text NOT NULL DEFAULT 'RS256'
                   CHECK (algorithm IN ('RS256', 'RS384', 'RS512', 'PS256', 'PS384',
                                        'PS512', 'ES256', 'ES384', 'ES512')),
    scopes         text NOT NULL DEFAULT 'openid profile email'
                   CHECK (scopes ~ '^openid( [!#-\[\]-~]+)*$' AND length(scopes) <= 500),
    name_claim     text NOT NULL DEFAULT 'preferred_username'
                   CHECK (length(name_claim) BETWEEN 1 AND 200),
    groups_claim   text NOT NULL DEFAULT 'groups'
                   CHECK (length(groups_claim) BETWEEN 1 AND 200),
    owner_groups   text[] NOT NULL DEFAULT '{}' CHECK (cardinality(owner_groups) <= 100),
    admin_groups   text[] NOT NULL DEFAULT '{}' CHECK (cardinality(admin_groups) <= 100),
    member_groups  text[] NOT NULL DEFAULT '{}' CHECK (cardinality(member_groups) <= 100),
    email_domains  text[] NOT NULL DEFAULT '{}' CHECK (cardinality(email_domains) <= 100),
    create_people  boolean NOT NULL DEFAULT false,
    link_people    boolean NOT NULL DEFAULT false,
    password_login boolean NOT NULL DEFAULT true,
    password_owner_id bigint REFERENCES people ON DELETE RESTRICT,
    CHECK (NOT enabled OR password_owner_id IS NOT NULL)
);
CREATE INDEX ON single_sign_on (password_owner_id);

-- Who somebody is at a provider. OpenID Connect Core 1.0 section 5.7: issuer
-- and subject together, nothing else, name a person for good.
CREATE TABLE identities (
    person_id     bigint PRIMARY KEY REFERENCES people ON DELETE CASCADE,
    team_id       bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    issuer        text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 512),
    subject       text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    UNIQUE (team_id, issuer, subject)
);

-- A provider's discovery document and keys, as they were read last: for all
-- processes, so that none asks again before it is time.
CREATE TABLE single_sign_on_documents (
    team_id    bigint NOT NULL REFERENCES single_sign_on ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('discovery', 'keys')),
    issuer     text NOT NULL,
    body       text CHECK (length(body) <= 524288), -- NULL: asked for the first time
    asked_at   timestamptz NOT NULL DEFAULT now(),
    fetched_at timestamptz,
    PRIMARY KEY (team_id, kind)
);

-- Logins that came back from a provider; each comes back once.
CREATE TABLE single_sign_on_states (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON single_sign_on_states (expires_at);

-- ---- logging in ----

-- What the login page offers. team: a team's name, or NULL for those that are
-- listed.
CREATE FUNCTION console_login_methods(team text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', m.title, 'start_url',
               '/api/v1/login/single-sign-on?team=' || m.name) ORDER BY m.title, m.name), '[]')
    FROM (SELECT s.title, t.name FROM single_sign_on s JOIN teams t ON t.id = s.team_id
          WHERE s.enabled AND (t.name = team OR (team IS NULL AND s.listed))
          ORDER BY s.title, t.name LIMIT 100) m
$$;

-- May this person log in at the console with a password?
CREATE FUNCTION password_login_is_open(person bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM people p JOIN single_sign_on s ON s.team_id = p.team_id
        WHERE p.id = person AND s.enabled AND NOT s.password_login
          AND s.password_owner_id <> p.id)
$$;

-- A name for a person: lower case, with a dash for what a name cannot have; of
-- an address, what is before the @. NULL: nothing is left.
CREATE FUNCTION name_of_claim(claim text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(left(ltrim(regexp_replace(lower(split_part(claim, '@', 1)),
                                            '[^a-z0-9._-]+', '-', 'g'), '._-'), 60), '')
$$;

-- The part of an address behind its only @, in lower case; NULL: it is none.
CREATE FUNCTION domain_of_address(address text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN address ~ '^[^@]+@[^@]+$' THEN lower(split_part(address, '@', 2)) END
$$;

-- Makes a person of the team; names are shared by all teams, so a name that is
-- taken gets a number.
CREATE FUNCTION single_sign_on_person_new(team bigint, wish text, display text, its_role text)
RETURNS people LANGUAGE plpgsql AS $$
DECLARE
    p people; n integer := 1; base text := coalesce(wish, 'user');
BEGIN
    WHILE p.id IS NULL AND n < 1000 LOOP
        INSERT INTO people (team_id, name, title, role)
        VALUES (team, base || CASE WHEN n > 1 THEN '-' || n ELSE '' END,
                left(coalesce(display, ''), 200), its_role)
        ON CONFLICT (name) DO NOTHING RETURNING * INTO p;
        n := n + 1;
    END LOOP;
    RETURN p;
END $$;

-- A person came from the provider. claims: subject, and of those that the
-- provider gave name, title, email, email_verified, groups. Answers with
-- problem 'forbidden' and why, or with the person: id, user, role, team_id,
-- team, time_zone.
CREATE FUNCTION console_single_sign_on(its_team bigint, its_issuer text, claims jsonb,
                                       origin jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    s single_sign_on; team teams; p people; me identities;
    groups text[]; its_role text; is_managed boolean; why text;
    via jsonb := origin || jsonb_build_object('by', 'single sign-on', 'issuer', its_issuer,
                                              'subject', claims->>'subject');
    wish text := name_of_claim(claims->>'name');
    name_domain text := domain_of_address(claims->>'name');
BEGIN
    SELECT * INTO team FROM teams WHERE id = its_team FOR UPDATE;
    SELECT * INTO s FROM single_sign_on WHERE team_id = its_team FOR SHARE;
    IF s.team_id IS NULL OR NOT s.enabled OR s.issuer <> its_issuer THEN
        RETURN ('forbidden', NULL, 'The settings changed meanwhile; begin again.',
                NULL)::console_result;
    END IF;
    SELECT coalesce(array_agg(g.name), '{}') INTO groups
    FROM jsonb_array_elements_text(coalesce(claims->'groups', '[]')) g (name);
    is_managed := cardinality(s.owner_groups || s.admin_groups || s.member_groups) > 0;
    its_role := CASE WHEN groups && s.owner_groups THEN 'owner'
                     WHEN groups && s.admin_groups THEN 'admin'
                     WHEN groups && s.member_groups OR NOT is_managed THEN 'member' END;
    SELECT * INTO me FROM identities
    WHERE team_id = its_team AND issuer = its_issuer AND subject = claims->>'subject';
    IF me.person_id IS NOT NULL THEN
        SELECT * INTO p FROM people WHERE id = me.person_id FOR UPDATE;
    END IF;

    IF cardinality(s.email_domains) > 0 AND (
            NOT coalesce(claims->>'email_verified' = 'true', false)
            OR NOT coalesce(domain_of_address(claims->>'email') = ANY (s.email_domains), false)) THEN
        why := 'The provider does not confirm an e-mail address of a domain that may log in.';
    ELSIF its_role IS NULL THEN
        why := 'You are in no group that may log in.';
    ELSIF p.id IS NULL AND s.link_people
          AND (claims->>'name' NOT LIKE '%@%' OR name_domain = ANY (s.email_domains)) THEN
        -- only somebody of exactly that name, who is no owner: an owner is
        -- linked by hand
        SELECT * INTO p FROM people
        WHERE team_id = its_team AND name = wish AND role <> 'owner'
          AND name = lower(split_part(claims->>'name', '@', 1))
          AND NOT EXISTS (SELECT FROM identities i WHERE i.person_id = people.id
                          AND i.issuer = its_issuer) FOR UPDATE;
    END IF;
    IF why IS NULL AND p.id IS NULL THEN
        IF s.create_people THEN
            p := single_sign_on_person_new(its_team, wish, claims->>'title', its_role);
            INSERT INTO audit (team_id, actor, action, object, detail)
            VALUES (its_team, p.name, 'user_add', p.name,
                    via || jsonb_build_object('role', p.role));
        ELSE
            why := 'Nobody here is linked to this login; ask an owner of your team.';
        END IF;
    END IF;
    IF why IS NULL AND p.disabled THEN
        why := 'You are disabled here; ask an owner of your team.';
    END IF;
    IF why IS NOT NULL THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (its_team, coalesce(p.name, wish, 'unknown'), 'login_failed', 'console',
                via || jsonb_build_object('why', why));
        RETURN ('forbidden', NULL, why, NULL)::console_result;
    END IF;

    IF me.person_id IS NULL THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (its_team, p.name, 'user_link', p.name, via);
    END IF;
    INSERT INTO identities (person_id, team_id, issuer, subject, last_login_at)
    VALUES (p.id, its_team, its_issuer, claims->>'subject', now())
    ON CONFLICT (person_id) DO UPDATE SET issuer = excluded.issuer,
        subject = excluded.subject, last_login_at = now();
    -- the provider's groups are followed, but the team keeps its owners
    IF is_managed AND p.role <> its_role AND p.id <> s.password_owner_id
       AND (p.role <> 'owner' OR EXISTS (
            SELECT FROM people o WHERE o.team_id = its_team AND o.role = 'owner'
            AND NOT o.disabled AND o.id <> p.id)) THEN
        UPDATE people SET role = its_role WHERE id = p.id;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (its_team, p.name, 'user_set', p.name,
                via || jsonb_build_object('role_before', p.role, 'role', its_role));
        p.role := its_role;
    END IF;
    RETURN (NULL, NULL, NULL, jsonb_build_object('id', p.id::text, 'user', p.name,
        'role', p.role, 'team_id', team.id::text, 'team', team.name,
        'time_zone', team.time_zone))::console_result;
END $$;

-- ---- settings ----

-- A team's settings as the API shows them: never the secret. NULL: none.
CREATE FUNCTION single_sign_on_show(team bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT to_jsonb(s) - 'team_id' - 'secret_sealed' - 'password_owner_id' ||
           jsonb_build_object('has_client_secret', s.secret_sealed IS NOT NULL,
                              'password_owner', p.name)
    FROM single_sign_on s LEFT JOIN people p ON p.id = s.password_owner_id
    WHERE s.team_id = team
$$;

-- Sets what body names; makes the row. body: members as single_sign_on_show has
-- them, and client_secret_sealed (hex, or null for none). An audit entry for
-- each setting that changes.
CREATE FUNCTION single_sign_on_set(team bigint, who text, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    was single_sign_on; s single_sign_on; p people; before jsonb; after jsonb;
    is_new boolean; broken text;
BEGIN
    PERFORM FROM teams WHERE id = team FOR UPDATE;
    SELECT * INTO was FROM single_sign_on WHERE team_id = team FOR UPDATE;
    IF was.team_id IS NULL AND NOT body ? 'issuer' THEN
        RETURN ('invalid', '/issuer', 'It is needed.', NULL)::console_result;
    ELSIF was.team_id IS NULL AND NOT body ? 'client_id' THEN
        RETURN ('invalid', '/client_id', 'It is needed.', NULL)::console_result;
    END IF;
    before := coalesce(single_sign_on_show(team), '{}');
    is_new := was.team_id IS NULL;
    IF is_new THEN
        INSERT INTO single_sign_on (team_id, issuer, client_id)
        VALUES (team, body->>'issuer', body->>'client_id') RETURNING * INTO was;
    END IF;
    s := jsonb_populate_record(was, body - 'team_id' - 'secret_sealed' - 'password_owner_id');
    s.email_domains := ARRAY(SELECT lower(d) FROM unnest(s.email_domains) d);
    IF body ? 'client_secret_sealed' THEN
        s.secret_sealed := decode(body->>'client_secret_sealed', 'hex');
    ELSIF s.issuer <> was.issuer THEN
        s.secret_sealed := NULL; -- it was given to be shown to another one
    END IF;
    IF body ? 'password_owner' THEN
        SELECT * INTO p FROM people WHERE team_id = team AND name = body->>'password_owner';
        s.password_owner_id := p.id;
    ELSIF s.enabled AND s.password_owner_id IS NULL THEN
        SELECT * INTO p FROM people WHERE team_id = team AND name = who;
        s.password_owner_id := p.id;
    ELSE
        SELECT * INTO p FROM people WHERE id = s.password_owner_id;
    END IF;
    IF (s.enabled OR body->>'password_owner' IS NOT NULL) AND (
            p.id IS NULL OR p.role <> 'owner' OR p.disabled OR p.password_hash IS NULL) THEN
        DELETE FROM single_sign_on WHERE team_id = team AND is_new;
        RETURN ('invalid', '/password_owner', 'An owner of the team with a password is '
                'expected, who can log in when the provider is away.', NULL)::console_result;
    END IF;
    UPDATE single_sign_on SET
        enabled = s.enabled, listed = s.listed, title = s.title, issuer = s.issuer,
        client_id = s.client_id, secret_sealed = s.secret_sealed, algorithm = s.algorithm,
        scopes = s.scopes, name_claim = s.name_claim, groups_claim = s.groups_claim,
        owner_groups = s.owner_groups, admin_groups = s.admin_groups,
        member_groups = s.member_groups, email_domains = s.email_domains,
        create_people = s.create_people, link_people = s.link_people,
        password_login = s.password_login, password_owner_id = s.password_owner_id
    WHERE team_id = team;
    after := single_sign_on_show(team);
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT team, who, 'settings_set', 'single_sign_on.' || a.key,
           origin || jsonb_build_object('before', before->>a.key, 'after', a.value)
    FROM jsonb_each_text(after) a
    WHERE before->>a.key IS DISTINCT FROM a.value
    ORDER BY a.key;
    IF before->>'has_client_secret' = after->>'has_client_secret'
       AND s.secret_sealed IS DISTINCT FROM was.secret_sealed THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team, who, 'settings_set', 'single_sign_on.client_secret', origin);
    END IF;
    RETURN (NULL, NULL, NULL, after)::console_result;
EXCEPTION WHEN check_violation THEN
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
    RETURN ('invalid', '/' || regexp_replace(broken, '^single_sign_on_(.*)_check$', '\1'),
            'This value cannot be; docs/single-sign-on.md says which can.',
            NULL)::console_result;
END $$;

CREATE FUNCTION single_sign_on_remove(team bigint, who text, origin jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM single_sign_on WHERE team_id = team;
    IF NOT FOUND THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (team, who, 'single_sign_on_removed', 'single_sign_on', origin);
    RETURN (NULL, NULL, NULL, '{}')::console_result;
END $$;

CREATE FUNCTION console_single_sign_on_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE sql AS $$
    SELECT r.* FROM people p, single_sign_on_set(p.team_id, p.name, origin, body) r
    WHERE p.id = who
$$;

CREATE FUNCTION console_single_sign_on_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE sql AS $$
    SELECT r.* FROM people p, single_sign_on_remove(p.team_id, p.name, origin) r
    WHERE p.id = who
$$;

-- ---- people ----

CREATE FUNCTION identity_show(i identities) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('issuer', i.issuer, 'subject', i.subject,
        'created_at', utc_text(i.created_at), 'last_login_at', utc_text(i.last_login_at))
$$;

-- Links a person to who they are at the team's provider; subject NULL: to
-- nobody.
CREATE FUNCTION identity_set(person bigint, who text, origin jsonb, its_subject text)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    p people; s single_sign_on; was identities; now_is identities; other text;
BEGIN
    SELECT * INTO p FROM people WHERE id = person FOR UPDATE;
    SELECT * INTO s FROM single_sign_on WHERE team_id = p.team_id;
    SELECT * INTO was FROM identities WHERE person_id = person;
    IF its_subject IS NOT NULL AND s.team_id IS NULL THEN
        RETURN ('not-done', NULL, 'The team has no single sign-on.', NULL)::console_result;
    END IF;
    SELECT o.name INTO other FROM identities i JOIN people o ON o.id = i.person_id
    WHERE i.team_id = p.team_id AND i.issuer = s.issuer AND i.subject = its_subject
      AND i.person_id <> person;
    IF other IS NOT NULL THEN
        RETURN ('exists', NULL, format('%s is linked to that already.', other),
                NULL)::console_result;
    ELSIF its_subject IS NULL AND was.person_id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    DELETE FROM identities WHERE person_id = person;
    IF its_subject IS NOT NULL THEN
        INSERT INTO identities (person_id, team_id, issuer, subject)
        VALUES (person, p.team_id, s.issuer, its_subject) RETURNING * INTO now_is;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (p.team_id, who, CASE WHEN its_subject IS NULL THEN 'user_unlink' ELSE 'user_link' END,
            p.name, origin || jsonb_strip_nulls(jsonb_build_object(
                'before', was.subject, 'issuer', coalesce(s.issuer, was.issuer),
                'subject', its_subject)));
    RETURN (NULL, NULL, NULL, identity_show(now_is))::console_result;
END $$;

-- body: id of the person, subject.
CREATE FUNCTION console_identity_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO p FROM people WHERE id = (body->>'id')::bigint AND team_id = me.team_id;
    IF p.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF p.role = 'owner' AND me.role <> 'owner' THEN
        RETURN console_owner_refusal(me, origin, p.name);
    END IF;
    RETURN identity_set(p.id, me.name, origin, body->>'subject');
END $$;

-- The owner who logs in when the provider is away stays able to. RC001: what
-- the schema refuses; the message is for people.
CREATE FUNCTION password_owner_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM single_sign_on WHERE password_owner_id = NEW.id AND enabled) THEN
        RAISE EXCEPTION '% is the owner who logs in with a password when single sign-on '
            'does not work; name another one first', NEW.name
            USING ERRCODE = 'RC001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER person_password_owner BEFORE UPDATE OF role, disabled, password_hash ON people
    FOR EACH ROW WHEN (NEW.role <> 'owner' OR NEW.disabled OR NEW.password_hash IS NULL)
    EXECUTE FUNCTION password_owner_stays();
