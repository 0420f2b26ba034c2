//! Statements that would take the wall down, or become somebody who may.

use crate::attempt::{Attempt, Case, Want};
use crate::reading::Kind;

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    ("changing the table", table),
    ("changing the policy", policy),
    ("changing the function", function),
    ("becoming somebody else", role),
    ("switching policies off", off),
];

const NOT_ALLOWED: Want = Want::Refused(&["42501"]);

fn table(case: &mut Case<'_>) -> Attempt {
    let change = case.pick(&[
        "DISABLE ROW LEVEL SECURITY",
        "NO FORCE ROW LEVEL SECURITY",
        "OWNER TO sf_app",
        "RENAME TO mine",
        "ADD COLUMN mine text",
        "DROP COLUMN org_id",
        "SET SCHEMA public",
    ]);
    Attempt::new(format!("ALTER TABLE {} {change}", case.table), NOT_ALLOWED)
}

fn policy(case: &mut Case<'_>) -> Attempt {
    let table = case.table.clone();
    let forms = [
        format!("DROP POLICY own_read ON {table}"),
        format!("ALTER POLICY own_read ON {table} USING (true)"),
        format!("CREATE POLICY open ON {table} USING (true)"),
    ];
    let form = case.rng.usize(..forms.len());
    Attempt::new(&*forms[form], NOT_ALLOWED)
}

fn function(case: &mut Case<'_>) -> Attempt {
    let org = case.target.uuid();
    let replace = format!(
        "CREATE OR REPLACE FUNCTION sf.tenant() RETURNS uuid LANGUAGE sql AS $$ SELECT '{org}'::uuid $$"
    );
    let sql = case.pick(&[
        &*replace,
        "ALTER FUNCTION sf.tenant() SECURITY INVOKER",
        "ALTER FUNCTION sf.tenant() SET search_path = pg_temp",
        "ALTER FUNCTION sf.tenant() OWNER TO sf_app",
        "DROP FUNCTION sf.tenant()",
        "CREATE FUNCTION sf.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
    ]);
    Attempt::new(sql, NOT_ALLOWED)
}

fn role(case: &mut Case<'_>) -> Attempt {
    let sql = case.pick(&[
        "SET ROLE sf_owner",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE sf_app BYPASSRLS",
        "ALTER ROLE sf_app SUPERUSER",
        "GRANT sf_owner TO sf_app",
        "GRANT pg_read_server_files TO sf_app",
        "CREATE ROLE another BYPASSRLS",
        "SET session_replication_role = replica",
        "ALTER DEFAULT PRIVILEGES FOR ROLE sf_owner GRANT ALL ON TABLES TO PUBLIC",
    ]);
    Attempt::new(sql, NOT_ALLOWED)
}

/// Then the statement is refused instead of being bound.
fn off(case: &mut Case<'_>) -> Attempt {
    Attempt::new(
        format!("SET LOCAL row_security = off; SELECT * FROM {}", case.table),
        NOT_ALLOWED,
    )
}
