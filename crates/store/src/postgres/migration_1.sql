-- The tables of version 1. Carried out once, as `sf_owner`. A line of this file that has been released is never changed: what
-- is different is a migration of its own.

REVOKE ALL ON SCHEMA sf FROM PUBLIC;
GRANT USAGE ON SCHEMA sf TO sf_app;
GRANT SELECT ON sf.migrations TO sf_app;

-- The keys that badges are signed with, spread out as HMAC (RFC 2104) wants them. Nobody but the owner can read them.
CREATE TABLE sf.badge_keys (
    id integer PRIMARY KEY CHECK (id BETWEEN 0 AND 65535),
    inner_pad bytea NOT NULL CHECK (length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (length(outer_pad) = 64)
);
REVOKE ALL ON sf.badge_keys FROM PUBLIC;

-- Whose turn it is: the tenant of the badge in `app.org_id`, or nobody. A badge is `ORG:KEY:MAC`.
-- What is compared at the end is hashed once more, so that the time it takes tells nothing about the MAC that was wanted.
CREATE FUNCTION sf.tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    badge text := current_setting('app.org_id', true);
    key record;
BEGIN
    IF badge IS NULL OR badge !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,5}:[0-9a-f]{64}$' THEN
        RETURN NULL;
    END IF;
    SELECT inner_pad, outer_pad INTO key FROM sf.badge_keys WHERE id = split_part(badge, ':', 2)::integer;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF sha256(decode(split_part(badge, ':', 3), 'hex')) <> sha256(sha256(key.outer_pad || sha256(
        key.inner_pad || convert_to('sf1:' || split_part(badge, ':', 1) || ':' || split_part(badge, ':', 2), 'UTF8')
    ))) THEN
        RETURN NULL;
    END IF;
    RETURN split_part(badge, ':', 1)::uuid;
END
$body$;
REVOKE ALL ON FUNCTION sf.tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sf.tenant() TO sf_app;

-- One table for each class, all of one shape. The tenant comes first in the key, so that rows of others are not even met.
-- No `TRUNCATE`, `REFERENCES` or `TRIGGER`: policies do not bind these.
DO $body$
DECLARE
    class text;
BEGIN
    FOREACH class IN ARRAY ARRAY['answers', 'approvals', 'audit', 'documents', 'events', 'runs', 'upkeep'] LOOP
        EXECUTE format('CREATE TABLE sf.%I (
            org_id uuid NOT NULL,
            key text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
            user_id uuid,
            at bigint NOT NULL,
            until bigint,
            version bigint NOT NULL,
            body text NOT NULL CHECK (body <> ''''),
            PRIMARY KEY (org_id, key)
        )', class);
        -- What the planner learns of a column is kept outside of the table, where no erasure reaches it.
        EXECUTE format('ALTER TABLE sf.%I ALTER key SET STATISTICS 0, ALTER user_id SET STATISTICS 0,
            ALTER body SET STATISTICS 0', class);
        EXECUTE format('CREATE INDEX ON sf.%I (org_id, user_id, key) WHERE user_id IS NOT NULL', class);
        EXECUTE format('REVOKE ALL ON sf.%I FROM PUBLIC', class);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON sf.%I TO sf_app', class);
        EXECUTE format('ALTER TABLE sf.%I ENABLE ROW LEVEL SECURITY', class);
        EXECUTE format('ALTER TABLE sf.%I FORCE ROW LEVEL SECURITY', class);
        EXECUTE format('CREATE POLICY own_read ON sf.%I FOR SELECT TO sf_app
            USING (org_id = (SELECT sf.tenant()))', class);
        EXECUTE format('CREATE POLICY own_insert ON sf.%I FOR INSERT TO sf_app
            WITH CHECK (org_id = (SELECT sf.tenant()))', class);
        EXECUTE format('CREATE POLICY own_update ON sf.%I FOR UPDATE TO sf_app
            USING (org_id = (SELECT sf.tenant())) WITH CHECK (org_id = (SELECT sf.tenant()))', class);
        EXECUTE format('CREATE POLICY own_delete ON sf.%I FOR DELETE TO sf_app
            USING (org_id = (SELECT sf.tenant()))', class);
    END LOOP;
END
$body$;
