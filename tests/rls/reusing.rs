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

/// Something that takes more than the text of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Bound,
    Cancelling,
    Copying,
    Failing,
    Panicking,
    Store,
}

impl Doing {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("parameters", Self::Bound),
        ("a future that is dropped", Self::Cancelling),
        ("COPY", Self::Copying),
        ("a transaction that failed", Self::Failing),
        ("a task that panicked", Self::Panicking),
        ("the store itself", Self::Store),
    ];

    pub(crate) async fn carry_out(self, case: &mut Case<'_>) -> Result<(), String> {
        match self {
            Self::Bound => bound(case).await,
            Self::Cancelling => cancelling(case).await,
            Self::Copying => copying(case).await,
            Self::Failing => failing(case).await,
            Self::Panicking => panicking(case).await,
            Self::Store => store(case).await,
        }
    }
}

async fn begin(case: &Case<'_>) -> Transaction<'static, Postgres> {
    let mut transaction = Box::pin(case.world.raw.begin()).await.unwrap();
    if let Some(actor) = case.actor {
        let set = format!(
            "SELECT set_config('app.org_id', $1, {})",
            case.world.lasting
        );
        let set = sqlx::query(AssertSqlSafe(set)).bind(&actor.badge);
        set.execute(&mut *transaction).await.unwrap();
    }
    transaction
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

/// Nobody's turn: nothing is there, whoever was here before.
async fn nobody(case: &mut Case<'_>) -> Result<(), String> {
    let mut connection = Box::pin(case.world.raw.acquire()).await.unwrap();
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
