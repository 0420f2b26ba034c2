//! Connections that somebody else used before, and in which way; and the doors that the program itself has.

use std::time::Duration;

use fastrand::Rng;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use stageflow_store::{Class, Row, Scan, Write};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::attempt::{Case, Seen, Want};
use crate::world::Sets;

/// Something that takes more than the text of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Bound,
    Cancelling,
    Copying,
    CopyingIn,
    Dropping,
    Failing,
    Leaving,
    Panicking,
    Store,
}

impl Doing {
    pub(crate) const ALL: [(&'static str, Self); 9] = [
        ("parameters", Self::Bound),
        ("a future that is dropped", Self::Cancelling),
        ("COPY", Self::Copying),
        ("COPY into", Self::CopyingIn),
        ("an operation that is dropped", Self::Dropping),
        ("a transaction that failed", Self::Failing),
        ("what somebody left", Self::Leaving),
        ("a task that panicked", Self::Panicking),
        ("the store itself", Self::Store),
    ];

    pub(crate) async fn carry_out(self, case: &mut Case<'_>) -> Result<(), String> {
        match self {
            Self::Bound => bound(case).await,
            Self::Cancelling => cancelling(case).await,
            Self::Copying => copying(case).await,
            Self::CopyingIn => copying_in(case).await,
            Self::Dropping => dropping(case).await,
            Self::Failing => failing(case).await,
            Self::Leaving => leaving(case).await,
            Self::Panicking => panicking(case).await,
            Self::Store => store(case).await,
        }
    }
}

async fn begin(case: &Case<'_>) -> Transaction<'static, Postgres> {
    let sets = case.world.sets;
    let set = case.actor.map(|actor| sets.sql(&actor.badge));
    let set = AssertSqlSafe(set.unwrap_or_default());
    let mut connection = Box::pin(case.pool.acquire()).await.unwrap();
    match sets {
        Sets::Before => {
            let set = sqlx::raw_sql(set);
            set.execute(&mut *connection).await.unwrap();
            Transaction::begin(connection, None).await.unwrap()
        }
        Sets::Staying | Sets::Transaction => {
            let mut transaction = Transaction::begin(connection, None).await.unwrap();
            let set = sqlx::raw_sql(set);
            set.execute(&mut *transaction).await.unwrap();
            transaction
        }
    }
}

/// A statement that is kept in the connection, and is carried out for whoever comes.
async fn bound(case: &mut Case<'_>) -> Result<(), String> {
    let sql = format!("SELECT body FROM {} WHERE org_id = $1 OR $2", case.table);
    let mut seen = Seen::default();
    let mut transaction = begin(case).await;
    {
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(case.target.org.as_uuid())
            .bind(true);
        let mut rows = query.fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(|error| error.to_string())? {
            seen.add(&row);
        }
    }
    transaction.rollback().await.unwrap();
    seen.judge(case, &Want::Own)
}

async fn copying(case: &mut Case<'_>) -> Result<(), String> {
    let table = &case.table;
    let copy = match case.rng.u8(..3) {
        0 => format!("COPY {table} TO STDOUT"),
        1 => format!("COPY (SELECT * FROM {table}) TO STDOUT (FORMAT csv)"),
        _ => format!("COPY {table} (body) TO STDOUT"),
    };
    let mut transaction = begin(case).await;
    let connection: &mut PgConnection = &mut transaction;
    let mut seen = Seen::default();
    match connection.copy_out_raw(&copy).await {
        Ok(mut out) => {
            while let Some(bytes) = out.try_next().await.map_err(|error| error.to_string())? {
                seen.cells
                    .push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Err(error) => seen.fail(&error),
    }
    transaction.rollback().await.unwrap();
    seen.judge(case, &Want::Own)
}

/// Rows for somebody else, past all that looks at single statements.
async fn copying_in(case: &mut Case<'_>) -> Result<(), String> {
    let copy = format!(
        "COPY {} (org_id, key, at, version, body) FROM STDIN",
        case.table
    );
    let line = format!("{}\tcopied\t1\t0\tx\n", case.target.uuid());
    let mut transaction = begin(case).await;
    let mut seen = Seen::default();
    let copied = async {
        let connection: &mut PgConnection = &mut transaction;
        let mut into = connection.copy_in_raw(&copy).await?;
        into.send(line.as_bytes()).await?;
        into.finish().await
    };
    if let Err(error) = copied.await {
        seen.fail(&error);
    }
    transaction.rollback().await.unwrap();
    seen.judge(case, &Want::Refused(&["0A000"]))
}

/// What is kept on a connection for longer than a transaction, full of the actor's rows: on connections of the store it is not there
/// for whoever comes next.
async fn leaving(case: &mut Case<'_>) -> Result<(), String> {
    const LOOKS: [&str; 3] = [
        "FETCH ALL FROM left_open",
        "SELECT * FROM pg_temp.left_here",
        "SELECT * FROM left_here",
    ];
    case.pool = &case.world.ours;
    let table = &case.table;
    let leave = match case.rng.u8(..3) {
        0 => format!("DECLARE left_open CURSOR WITH HOLD FOR SELECT * FROM {table}"),
        1 => format!("CREATE TEMP TABLE left_here AS SELECT * FROM {table}"),
        _ => format!(
            "CREATE TEMP TABLE left_here AS SELECT * FROM {table}; SET search_path = pg_temp, public"
        ),
    };
    let mut transaction = begin(case).await;
    let left = sqlx::raw_sql(AssertSqlSafe(leave))
        .execute(&mut *transaction)
        .await;
    // Where it stays it is there already.
    if left.is_ok() {
        transaction.commit().await.unwrap();
    } else {
        drop(transaction);
    }
    let look = case.pick(&LOOKS);
    let mut connection = Box::pin(case.pool.acquire()).await.unwrap();
    let seen = Seen::of(look, &mut connection).await;
    case.actor = None;
    seen.judge(case, &Want::Refused(&["34000", "42P01", "3F000"]))
}

/// The store's own operation is dropped at some point on the way.
async fn dropping(case: &mut Case<'_>) -> Result<(), String> {
    case.pool = &case.world.ours;
    let Some(actor) = case.actor else {
        return nobody(case).await;
    };
    let patience = Duration::from_micros(case.rng.u64(..3_000));
    let class = Class::ALL[case.rng.usize(..Class::ALL.len())];
    let new = Row::new("dropped", 1, "x");
    let insert = Write::Insert {
        class,
        row: new.clone(),
    };
    // Comes to nothing, so that it is rolled back: nobody has written it before.
    let swap = Write::Swap {
        class,
        row: new,
        seen: 7,
    };
    let _ = match case.rng.u8(..3) {
        0 => timeout(patience, actor.shelf.scan(Scan::of(class)))
            .await
            .map(drop),
        1 => timeout(patience, actor.shelf.get(class, "both/1"))
            .await
            .map(drop),
        _ => timeout(patience, actor.shelf.commit(vec![insert, swap]))
            .await
            .map(drop),
    };
    nobody(case).await
}

/// Nobody's turn: nothing is there, whoever was here before.
async fn nobody(case: &mut Case<'_>) -> Result<(), String> {
    let mut connection = Box::pin(case.pool.acquire()).await.unwrap();
    let sql = format!("SELECT * FROM {}", case.table);
    let seen = Seen::of(&sql, &mut connection).await;
    case.actor = None;
    seen.judge(case, &Want::Nothing)
}

/// The transaction is dropped as the error has left it.
async fn failing(case: &mut Case<'_>) -> Result<(), String> {
    let wrong = [
        "SELECT 1 / 0",
        "SELECT * FROM sf.nothing",
        "SELEC",
        "SELECT 'x'::uuid",
        // The server stops it.
        "SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)",
        "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)",
    ];
    let wrong = case.pick(&wrong).to_owned();
    let mut transaction = begin(case).await;
    let failed = sqlx::raw_sql(AssertSqlSafe(wrong))
        .execute(&mut *transaction)
        .await;
    assert!(failed.is_err());
    drop(transaction);
    nobody(case).await
}

/// The task ends while it holds the transaction.
async fn panicking(case: &mut Case<'_>) -> Result<(), String> {
    let transaction = begin(case).await;
    let task = Handle::current().spawn(async move {
        let _held = transaction;
        // Past the hook that prints it.
        std::panic::resume_unwind(Box::new("on purpose"))
    });
    let ended: Result<(), _> = Box::pin(task).await;
    assert!(ended.is_err_and(|error| error.is_panic()));
    nobody(case).await
}

/// It is dropped at some point on the way.
async fn cancelling(case: &mut Case<'_>) -> Result<(), String> {
    let patience = Duration::from_micros(case.rng.u64(..1_500));
    let work = async {
        let mut transaction = begin(case).await;
        let slow = sqlx::raw_sql("SELECT pg_sleep(0.0005)").execute(&mut *transaction);
        slow.await.unwrap();
        transaction.commit().await.unwrap();
    };
    let _ = timeout(patience, work).await;
    nobody(case).await
}

/// The store with the keys, prefixes, users and rows of somebody else.
async fn store(case: &mut Case<'_>) -> Result<(), String> {
    let Some(actor) = case.actor else {
        return nobody(case).await;
    };
    let target = case.target;
    let class = Class::ALL[case.rng.usize(..Class::ALL.len())];
    let key = format!("only/{}", target.canary());
    let mut scan = Scan::of(class);
    if case.rng.bool() {
        scan = scan.starting_with("only/");
    }
    if case.rng.bool() {
        scan = scan.about(target.user);
    }
    let mut rows = actor.shelf.scan(scan).await.unwrap();
    rows.extend(actor.shelf.get(class, &key).await.unwrap());
    let mut seen = Seen::default();
    seen.cells
        .extend(rows.into_iter().map(|row| format!("{row:?}")));
    seen.judge(case, &Want::Quiet)?;
    steal(case.rng, actor, class, &key).await
}

/// Writes under a key that another tenant has, in ways that come to nothing.
async fn steal(
    rng: &mut Rng,
    actor: &crate::world::Tenant,
    class: Class,
    key: &str,
) -> Result<(), String> {
    let row = Row::new(key, 1, "stolen").about(actor.user);
    let swap = Write::Swap {
        class,
        row: row.clone(),
        seen: 0,
    };
    let (writes, done) = match rng.u8(..3) {
        0 => (vec![swap], false),
        1 => (
            vec![Write::Delete {
                class,
                key: key.to_owned(),
            }],
            true,
        ),
        // It is there and gone within one commit, which only works if the key is free.
        _ => {
            let delete = Write::Delete {
                class,
                key: key.to_owned(),
            };
            (vec![Write::Insert { class, row }, swap, delete], true)
        }
    };
    match actor.shelf.commit(writes).await {
        Ok(found) if found == done => Ok(()),
        other => Err(format!(
            "a commit under somebody else's key came to {other:?}"
        )),
    }
}
