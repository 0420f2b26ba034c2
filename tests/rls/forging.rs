//! Badges that are not genuine, and settings that outlive their transaction.

use crate::attempt::{Attempt, Case, Shows, Want};
use crate::reading::Kind;

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    ("a forged badge", forged),
    ("a forged badge that stays", stays),
    ("a forged badge to write", writing),
    ("functions in the way", shadowed),
];

/// What somebody could write who has seen badges and has no key.
fn badge(case: &mut Case<'_>) -> String {
    let org = case.target.uuid();
    let zeros = "0".repeat(64);
    let own = case.actor.map_or(&*zeros, |actor| {
        actor.badge.rsplit(':').next().unwrap_or(&zeros)
    });
    let genuine = &case.target.badge;
    let forms = [
        org.clone(),
        format!("{org}:1"),
        format!("{org}:1:"),
        format!("{org}:1:{zeros}"),
        format!("{org}:1:{own}"),
        format!("{org}:2:{zeros}"),
        format!("{org}:99999:{zeros}"),
        format!("{org}:1:{}", "NULL"),
        genuine.to_uppercase(),
        genuine[..genuine.len() - 1].to_owned(),
        format!("{genuine}\n"),
        format!(" {genuine}"),
        format!("{genuine}:{genuine}"),
        genuine.replacen(":1:", ":01:", 1),
        genuine.replacen('-', "", 1),
        format!("{org}' OR true --").replace('\'', "''"),
        "%".to_owned(),
    ];
    forms[case.rng.usize(..forms.len())].clone()
}

fn attempt(sql: String, want: Want) -> Attempt {
    Attempt {
        shows: Shows::Nothing,
        ..Attempt::new(sql, want)
    }
}

fn forged(case: &mut Case<'_>) -> Attempt {
    let (badge, table) = (badge(case), case.table.clone());
    let set = match case.rng.u8(..3) {
        0 => format!("SET LOCAL app.org_id = '{badge}'"),
        1 => format!("SELECT set_config('app.org_id', '{badge}', true)"),
        _ => format!("SET LOCAL \"app.org_id\" TO '{badge}'"),
    };
    attempt(format!("{set}; SELECT * FROM {table}"), Want::Nothing)
}

/// The connection goes back with it.
fn stays(case: &mut Case<'_>) -> Attempt {
    let (badge, table) = (badge(case), case.table.clone());
    let set = match case.rng.bool() {
        true => format!("SET app.org_id = '{badge}'"),
        false => format!("SELECT set_config('app.org_id', '{badge}', false)"),
    };
    Attempt {
        ends: "COMMIT",
        ..attempt(format!("{set}; SELECT * FROM {table}"), Want::Nothing)
    }
}

fn writing(case: &mut Case<'_>) -> Attempt {
    let (badge, table, org) = (badge(case), case.table.clone(), case.target.uuid());
    let insert = format!(
        "INSERT INTO {table} (org_id, key, at, version, body) VALUES ('{org}', 'new', 1, 0, 'x')"
    );
    attempt(
        format!("SET LOCAL app.org_id = '{badge}'; {insert}"),
        Want::Refused(&["42501"]),
    )
}

/// What the database calls to look at a badge cannot be replaced by what the caller has made.
fn shadowed(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    let zeros = "0".repeat(64);
    let sql = format!(
        "CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT '\\x00'::bytea $$;
         CREATE TEMP TABLE badge_keys (id integer, inner_pad bytea, outer_pad bytea);
         INSERT INTO badge_keys VALUES (1, '', '');
         SET LOCAL search_path = pg_temp, pg_catalog; SET LOCAL app.org_id = '{org}:1:{zeros}'; SELECT * FROM {table}"
    );
    attempt(sql, Want::Nothing)
}
