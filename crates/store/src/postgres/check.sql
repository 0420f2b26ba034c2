-- What is wrong with the wall, one line each. $1: the tables, $2: the text of `sf.tenant`. Nothing, if it stands.
WITH reach AS (
    SELECT oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication
    FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
), wanted AS (
    SELECT class, pg_catalog.to_regclass('sf.' || class) AS oid FROM pg_catalog.unnest($1::text[]) AS class
), tables AS (
    SELECT wanted.class, c.oid, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relkind
    FROM wanted LEFT JOIN pg_catalog.pg_class AS c ON c.oid = wanted.oid
), policies AS (
    SELECT p.polrelid, p.polcmd, count(*) AS number, bool_and(p.polpermissive
        AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) IS NOT DISTINCT FROM
            CASE p.polcmd WHEN 'a' THEN NULL ELSE '(org_id = ( SELECT sf.tenant() AS tenant))' END
        AND pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) IS NOT DISTINCT FROM
            CASE WHEN p.polcmd IN ('a', 'w') THEN '(org_id = ( SELECT sf.tenant() AS tenant))' END
    ) AS sound
    FROM pg_catalog.pg_policy AS p GROUP BY p.polrelid, p.polcmd
)
SELECT format('the user may become "%s", which passes all policies', rolname)
    FROM reach WHERE rolsuper OR rolbypassrls
UNION ALL SELECT format('the user may become "%s", which can give itself other roles', rolname)
    FROM reach WHERE rolcreaterole AND NOT rolsuper
UNION ALL SELECT format('the user may become "%s", which can copy the whole database', rolname)
    FROM reach WHERE rolreplication AND NOT rolsuper
UNION ALL SELECT format('the user may become "%s", which reaches the files of the server', rolname)
    FROM reach WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
        AND NOT EXISTS (SELECT FROM reach WHERE rolsuper)
UNION ALL SELECT format('the table "%s" is not there', class)
    FROM tables WHERE oid IS NULL OR relkind <> 'r'
UNION ALL SELECT format('the user owns the table "%s"', class)
    FROM tables JOIN reach ON reach.oid = relowner
UNION ALL SELECT format('the table "%s" has its row-level security switched off', class)
    FROM tables WHERE NOT relrowsecurity
UNION ALL SELECT format('the table "%s" does not force its policies on its owner', class)
    FROM tables WHERE NOT relforcerowsecurity
UNION ALL SELECT format('the user may %s the table "%s", which no policy binds', privilege, class)
    FROM tables CROSS JOIN (VALUES ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) AS p (privilege)
    WHERE pg_catalog.has_table_privilege(session_user, tables.oid, privilege)
        OR privilege = 'REFERENCES' AND pg_catalog.has_any_column_privilege(session_user, tables.oid, privilege)
UNION ALL SELECT format('the table "%s" lacks a policy, or has one that is not ours', class)
    FROM tables WHERE oid IS NOT NULL AND 4 > (
        SELECT count(*) FROM policies
        WHERE polrelid = tables.oid AND polcmd IN ('r', 'a', 'w', 'd') AND number = 1 AND sound)
UNION ALL SELECT format('the table "%s" has a policy that is not ours', class)
    FROM tables WHERE EXISTS (SELECT FROM policies WHERE polrelid = tables.oid AND polcmd = '*')
UNION ALL SELECT 'the user can read the keys of the badges'
    WHERE pg_catalog.to_regclass('sf.badge_keys') IS NULL
        OR pg_catalog.has_any_column_privilege(session_user, 'sf.badge_keys', 'SELECT, INSERT, UPDATE')
UNION ALL SELECT 'the function "tenant" is not ours'
    FROM (SELECT pg_catalog.to_regprocedure('sf.tenant()') AS oid) AS wanted
    LEFT JOIN pg_catalog.pg_proc AS f ON f.oid = wanted.oid
    LEFT JOIN pg_catalog.pg_language AS l ON l.oid = f.prolang
    WHERE f.oid IS NULL OR NOT f.prosecdef OR f.proowner IN (SELECT oid FROM reach)
        OR f.prosrc <> $2::text OR l.lanname <> 'plpgsql' OR f.provolatile <> 's'
        OR f.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
UNION ALL SELECT 'the user may make temporary tables, which stay on a connection'
    WHERE pg_catalog.has_database_privilege(session_user, pg_catalog.current_database(), 'TEMPORARY')
UNION ALL SELECT 'the user may make things in the schema "sf"'
    FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'sf'
        AND (n.nspowner IN (SELECT oid FROM reach)
            OR pg_catalog.has_schema_privilege(session_user, n.oid, 'CREATE'))
