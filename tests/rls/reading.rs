//! Statements that read.

use crate::attempt::{Attempt, Case, Want};

pub(crate) type Kind = (&'static str, fn(&mut Case<'_>) -> Attempt);

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    ("everything", everything),
    ("by name", by_name),
    ("or true", or_true),
    ("counting", counting),
    ("dividing", dividing),
    ("casting", casting),
    ("a function that tells", telling),
    ("a view", viewing),
    ("the owner's view", owners_view),
    ("a prepared statement", prepared),
    ("a plan", explaining),
    ("what the planner knows", statistics),
    ("what others do", activity),
    ("what is closed", closed),
];

fn everything(case: &mut Case<'_>) -> Attempt {
    let (t, o) = (case.table.clone(), case.other());
    let forms = [
        format!("SELECT * FROM {t}"),
        format!("TABLE {t}"),
        format!("SELECT r FROM {t} AS r"),
        format!("SELECT row_to_json(r)::text FROM {t} AS r"),
        format!("SELECT string_agg(body, ',') FROM {t}"),
        format!("WITH x AS MATERIALIZED (SELECT * FROM {t}) SELECT * FROM x"),
        format!("SELECT * FROM {t} TABLESAMPLE SYSTEM (100)"),
        format!("SELECT a.*, b.* FROM {t} AS a FULL JOIN {o} AS b ON a.key = b.key"),
        format!("SELECT * FROM {t} WHERE ctid >= '(0,0)'"),
        format!("SELECT body FROM {t} UNION ALL SELECT body FROM {o}"),
        format!("SELECT x.* FROM (SELECT 1) AS s, LATERAL (SELECT * FROM {t}) AS x"),
        format!("SELECT body, lag(body) OVER (ORDER BY at) FROM {t}"),
        format!("DECLARE c CURSOR FOR SELECT * FROM {t}; FETCH ALL FROM c"),
    ];
    let form = case.rng.usize(..forms.len());
    Attempt::new(&*forms[form], Want::Own)
}

fn by_name(case: &mut Case<'_>) -> Attempt {
    let target = case.target;
    let (org, canary) = (target.uuid(), target.canary_sql());
    let conditions = [
        format!("org_id = '{org}'"),
        format!("org_id IN ('{org}')"),
        format!("org_id::text LIKE '{}%'", &org[..30]),
        format!("key = 'only/' || {canary}"),
        format!("body LIKE '%' || {canary} || '%'"),
        format!("user_id = '{}'", target.user.as_uuid().hyphenated()),
        format!("org_id <> coalesce(sf.tenant(), '{org}')"),
    ];
    let condition = &conditions[case.rng.usize(..conditions.len())];
    let lock = case.pick(&["", "FOR UPDATE NOWAIT", "FOR SHARE SKIP LOCKED"]);
    Attempt::new(
        format!("SELECT * FROM {} WHERE {condition} {lock}", case.table),
        Want::Nothing,
    )
}

fn or_true(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    Attempt::new(
        format!("SELECT * FROM {table} WHERE org_id = '{org}' OR true"),
        Want::Own,
    )
}

fn counting(case: &mut Case<'_>) -> Attempt {
    let (table, org) = (&case.table, case.target.uuid());
    let (what, where_, says) = [
        ("count(*)", String::new(), case.own().to_string()),
        (
            "count(DISTINCT org_id)",
            String::new(),
            case.own().min(1).to_string(),
        ),
        (
            "count(*)",
            format!("WHERE org_id = '{org}'"),
            "0".to_owned(),
        ),
        (
            "count(*)",
            format!("WHERE key = 'only/' || {}", case.target.canary_sql()),
            "0".to_owned(),
        ),
        (
            "count(*) > 0",
            format!("WHERE org_id = '{org}'"),
            "f".to_owned(),
        ),
    ][case.rng.usize(..5)]
    .clone();
    Attempt::new(
        format!("SELECT {what} FROM {table} {where_}"),
        Want::Says(says),
    )
}

/// If it is asked of a row before the policy is, there is an error.
fn dividing(case: &mut Case<'_>) -> Attempt {
    let (table, canary) = (&case.table, case.target.canary_sql());
    let ask = format!("1 / (CASE WHEN body LIKE '%' || {canary} || '%' THEN 0 ELSE 1 END) = 1");
    Attempt::new(
        format!("SELECT count(*) FROM {table} WHERE {ask}"),
        Want::Says(case.own().to_string()),
    )
}

/// The message of the error quotes the row.
fn casting(case: &mut Case<'_>) -> Attempt {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE body::integer > 0",
        case.table
    );
    let want = match case.actor {
        Some(_) => Want::Refused(&["22P02"]),
        None => Want::Says("0".to_owned()),
    };
    Attempt::new(sql, want)
}

fn telling(case: &mut Case<'_>) -> Attempt {
    let (table, canary) = (&case.table, case.target.canary_sql());
    let make = format!(
        "CREATE FUNCTION pg_temp.tell(body text) RETURNS boolean LANGUAGE plpgsql COST 0.0000000001 AS $f$
         BEGIN IF body LIKE '%' || {canary} || '%' THEN RAISE EXCEPTION 'it says %', body; END IF; RETURN true; END $f$"
    );
    let says = Want::Says(case.own().to_string());
    Attempt::new(
        format!("{make}; SELECT count(*) FROM {table} WHERE pg_temp.tell(body)"),
        says,
    )
}

fn viewing(case: &mut Case<'_>) -> Attempt {
    let invoker = case.pick(&[
        "",
        "WITH (security_invoker = true)",
        "WITH (security_barrier = true)",
    ]);
    let kind = case.pick(&["TEMP VIEW v", "TEMP TABLE v"]);
    let with = if kind == "TEMP VIEW v" { invoker } else { "" };
    let table = &case.table;
    Attempt::new(
        format!("CREATE {kind} {with} AS SELECT * FROM {table}; SELECT * FROM v"),
        Want::Own,
    )
}

/// It is read as its owner, to whom no policy gives anything.
fn owners_view(_: &mut Case<'_>) -> Attempt {
    Attempt::new("SELECT * FROM sf.everything", Want::Nothing)
}

/// Prepared and planned in another tenant's turn, on the same connection.
fn prepared(case: &mut Case<'_>) -> Attempt {
    let (table, badge) = (&case.table, &case.target.badge);
    let name = format!("p{}", case.rng.u32(..));
    let mine = case.actor.map_or("", |actor| &*actor.badge);
    let mode = if case.rng.bool() { "generic" } else { "custom" };
    let sql = format!(
        "SET LOCAL plan_cache_mode = force_{mode}_plan; SELECT set_config('app.org_id', '{badge}', true);
         PREPARE {name} AS SELECT * FROM {table}; EXPLAIN (COSTS OFF) EXECUTE {name};
         SELECT set_config('app.org_id', '{mine}', true); EXECUTE {name}; DEALLOCATE {name}"
    );
    Attempt::new(sql, Want::Own)
}

fn explaining(case: &mut Case<'_>) -> Attempt {
    let how = case.pick(&[
        "ANALYZE, VERBOSE",
        "ANALYZE, BUFFERS, FORMAT JSON",
        "VERBOSE",
    ]);
    // No canary: a plan shows the texts that it was asked with.
    let org = case.target.uuid();
    let conditions = [
        "body <> ''".to_owned(),
        format!("org_id = '{org}'"),
        format!("org_id::text = '{org}'"),
        "body LIKE 'canary-%'".to_owned(),
        "key = 'both/1'".to_owned(),
    ];
    let condition = &conditions[case.rng.usize(..conditions.len())];
    let scan = case.pick(&["seqscan", "indexscan", "bitmapscan"]);
    let sql = format!(
        "SET LOCAL enable_{scan} = off; EXPLAIN ({how}) SELECT * FROM {} WHERE {condition}",
        case.table
    );
    Attempt::new(sql, Want::Plan)
}

fn statistics(case: &mut Case<'_>) -> Attempt {
    let table = case.table.replace("sf.", "");
    let view = case.pick(&["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"]);
    let count =
        format!("SELECT count(*) FROM {view} WHERE schemaname = 'sf' AND tablename = '{table}'");
    Attempt::new(count, Want::Says("0".to_owned()))
}

fn activity(case: &mut Case<'_>) -> Attempt {
    let sql = case.pick(&[
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM pg_prepared_statements",
        "SELECT * FROM pg_stat_user_tables",
        "SELECT * FROM pg_cursors",
        "SELECT * FROM pg_locks",
        "SELECT pg_listening_channels()",
    ]);
    Attempt::new(sql, Want::Quiet)
}

fn closed(case: &mut Case<'_>) -> Attempt {
    let copy = format!("COPY {} TO '/nowhere/stolen'", case.table);
    let program = format!("COPY {} TO PROGRAM 'cat'", case.table);
    let sql = case.pick(&[
        "SELECT * FROM sf.badge_keys",
        "SELECT id FROM sf.badge_keys",
        "SELECT * FROM pg_statistic",
        "SELECT * FROM pg_largeobject",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_ls_dir('base')",
        "SELECT lo_import('/etc/passwd')",
        &copy,
        &program,
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION file_fdw",
    ]);
    // An extension may not be there at all.
    Attempt::new(sql, Want::Refused(&["42501", "58P01", "0A000"]))
}
