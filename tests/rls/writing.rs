//! Statements that write. What they do is rolled back, so that the next ones find what these found.

use crate::attempt::{Attempt, Case, Want};
use crate::reading::Kind;

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    ("a row for somebody else", for_somebody_else),
    ("a conflict", conflict),
    ("somebody else's key", same_key),
    ("changing", changing),
    ("giving away", giving_away),
    ("deleting", deleting),
    ("merging", merging),
    ("returning more", returning),
    ("a foreign key", foreign_key),
    ("what is closed to writers", closed),
];

const COLUMNS: &str = "(org_id, key, at, version, body)";

fn for_somebody_else(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    let key = if case.rng.bool() {
        "both/1".to_owned()
    } else {
        format!("new/{}", case.rng.u64(..))
    };
    let sql = format!("INSERT INTO {table} {COLUMNS} VALUES ('{org}', '{key}', 1, 0, 'x')");
    Attempt::new(sql, Want::Refused(&["42501"]))
}

/// Whether there is such a row must not be seen by what comes of it.
fn conflict(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (case.table.clone(), case.target.uuid());
    let key = case.pick(&["'both/1'", "'new/1'"]);
    let then = case.pick(&[
        "DO NOTHING",
        "(org_id, key) DO UPDATE SET body = excluded.body",
        "(org_id, key) DO UPDATE SET at = 7",
    ]);
    let sql = format!(
        "INSERT INTO {table} {COLUMNS} VALUES ('{org}', {key}, 1, 0, 'x') ON CONFLICT {then} RETURNING {table}"
    );
    let sql = sql.replace(&format!("RETURNING {table}"), "RETURNING body");
    Attempt::new(sql, Want::Refused(&["42501"]))
}

/// A key that somebody else has is free, and nothing tells that it is taken there.
fn same_key(case: &mut Case<'_>) -> Attempt {
    let Some(actor) = case.actor else {
        return for_somebody_else(case);
    };
    let (table, org, canary) = (&case.table, actor.uuid(), case.target.canary_sql());
    let values = format!("('{org}', 'only/' || {canary}, 1, 0, 'mine')");
    let sql = format!("INSERT INTO {table} {COLUMNS} VALUES {values} RETURNING body");
    Attempt::new(sql, Want::Says("mine".to_owned()))
}

fn counted(change: &str, rows: usize) -> Attempt {
    let sql = format!("WITH changed AS ({change} RETURNING 1) SELECT count(*) FROM changed");
    Attempt::new(sql, Want::Says(rows.to_string()))
}

fn changing(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    match case.rng.bool() {
        true => counted(
            &format!("UPDATE {table} SET body = 'x' WHERE org_id = '{org}'"),
            0,
        ),
        false => counted(&format!("UPDATE {table} SET body = 'x'"), case.own()),
    }
}

fn giving_away(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    let change = format!("UPDATE {table} SET org_id = '{org}'");
    match case.actor {
        Some(_) => Attempt::new(change, Want::Refused(&["42501"])),
        None => counted(&change, 0),
    }
}

fn deleting(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    match case.rng.bool() {
        true => counted(&format!("DELETE FROM {table} WHERE org_id = '{org}'"), 0),
        false => counted(&format!("DELETE FROM {table}"), case.own()),
    }
}

fn merging(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    let merge = format!(
        "MERGE INTO {table} AS t USING (SELECT 1) AS s ON t.org_id = '{org}' WHEN MATCHED THEN UPDATE SET body = 'merged'"
    );
    let look = format!("SELECT count(*) FROM {table} WHERE body = 'merged'");
    Attempt::new(format!("{merge}; {look}"), Want::Says("0".to_owned()))
}

fn returning(case: &mut Case<'_>) -> Attempt {
    let (table, all) = (
        &case.table,
        format!("(SELECT string_agg(body, ',') FROM {})", case.table),
    );
    let sql = match case.rng.u8(..2) {
        0 => format!("UPDATE {table} SET at = at RETURNING {all}"),
        _ => format!("DELETE FROM {table} RETURNING body, {all}"),
    };
    Attempt::new(sql, Want::Own)
}

/// Such a key is looked at past the policies.
fn foreign_key(case: &mut Case<'_>) -> Attempt {
    let temp = case.pick(&["", "TEMP"]);
    let table = &case.table;
    let sql = format!(
        "CREATE {temp} TABLE probe (o uuid, k text, FOREIGN KEY (o, k) REFERENCES {table})"
    );
    Attempt::new(sql, Want::Refused(&["42501", "42P16"]))
}

fn closed(case: &mut Case<'_>) -> Attempt {
    let table = case.table.clone();
    let forms = [
        format!("TRUNCATE {table}"),
        format!("DROP TABLE {table}"),
        format!("CREATE INDEX ON {table} (body)"),
        format!("CREATE RULE r AS ON SELECT TO {table} DO INSTEAD SELECT 1"),
        format!(
            "CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        format!("VACUUM {table}"),
        "INSERT INTO sf.badge_keys VALUES (9, '', '')".to_owned(),
        "UPDATE sf.badge_keys SET id = 9".to_owned(),
        "DELETE FROM sf.migrations".to_owned(),
        "CREATE TABLE sf.mine ()".to_owned(),
    ];
    let form = case.rng.usize(..forms.len());
    Attempt::new(&*forms[form], Want::Refused(&["42501", "25001"]))
}
