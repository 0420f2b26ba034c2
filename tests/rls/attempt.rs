//! One attempt: what is tried, as whom, what must come of it, and what came of it.

use fastrand::Rng;
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Either, Row as _};

use crate::world::{Sets, Tenant, World};

/// Tables to try it on.
pub(crate) const TABLES: [&str; 7] = [
    "answers",
    "approvals",
    "audit",
    "documents",
    "events",
    "runs",
    "upkeep",
];

/// Who tries, and at whose expense.
pub(crate) struct Case<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) world: &'a World,
    /// Connections that others have used before.
    pub(crate) pool: &'a PgPool,
    pub(crate) actor: Option<&'a Tenant>,
    pub(crate) target: &'a Tenant,
    /// `sf.TABLE`
    pub(crate) table: String,
}

impl<'a> Case<'a> {
    /// Anybody, or nobody, against somebody else.
    pub(crate) fn random(rng: &'a mut Rng, world: &'a World) -> Self {
        let tenants = &world.tenants;
        let target = &tenants[rng.usize(..tenants.len())];
        let others = tenants
            .iter()
            .filter(|tenant| tenant.number != target.number);
        let others: Vec<_> = others.map(Some).chain([None]).collect();
        let actor = others[rng.usize(..others.len())];
        let table = format!("sf.{}", TABLES[rng.usize(..TABLES.len())]);
        let pool = if rng.bool() { &world.raw } else { &world.ours };
        Self {
            rng,
            world,
            pool,
            actor,
            target,
            table,
        }
    }

    pub(crate) fn pick<'b>(&mut self, all: &[&'b str]) -> &'b str {
        all[self.rng.usize(..all.len())]
    }

    /// Another table, or the same.
    pub(crate) fn other(&mut self) -> String {
        format!("sf.{}", self.pick(&TABLES))
    }

    /// How many rows of a table are the actor's.
    pub(crate) fn own(&self) -> usize {
        self.actor.map_or(0, Tenant::rows)
    }
}

/// What is tried in one transaction.
pub(crate) struct Attempt {
    pub(crate) sql: String,
    pub(crate) ends: &'static str,
    /// Whether the transaction shows the badge of the actor.
    pub(crate) shows: Shows,
    pub(crate) want: Want,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Badge,
    Nothing,
}

/// What must come of it. In any case nobody else's canary is seen, in rows or in messages.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// It is carried out, and shows the actor's rows if there is an actor.
    Own,
    /// It is carried out, and shows no row of anybody.
    Nothing,
    /// It is carried out; what it shows is not rows, and counts no tenant's.
    Plan,
    /// It is carried out; what it shows is not rows.
    Quiet,
    /// It is carried out, and the last thing that it shows is this.
    Says(String),
    /// It is refused, for one of these reasons.
    Refused(&'static [&'static str]),
}

impl Attempt {
    pub(crate) fn new(sql: impl Into<String>, want: Want) -> Self {
        let sql = sql.into();
        Self {
            sql,
            ends: "ROLLBACK",
            shows: Shows::Badge,
            want,
        }
    }

    /// Makes the attempt on a connection, which has no transaction afterwards.
    pub(crate) async fn carry_out(
        &self,
        actor: Option<&Tenant>,
        sets: Sets,
        connection: &mut PgConnection,
    ) -> Seen {
        let show = match (actor, self.shows) {
            (Some(actor), Shows::Badge) => sets.sql(&actor.badge),
            _ => String::new(),
        };
        let show = match sets {
            // In a message of its own: what comes before `BEGIN` in one message is part of the transaction.
            Sets::Before if !show.is_empty() => {
                Seen::of(&show, connection).await;
                String::new()
            }
            _ => show,
        };
        let ends = match sets {
            Sets::Staying => "COMMIT",
            _ => self.ends,
        };
        let sql = format!("BEGIN; {show} {}; {ends}", self.sql);
        loop {
            let seen = Seen::of(&sql, connection).await;
            // Somebody else changes the same tenant's rows, in another order.
            if seen.error.as_ref().is_none_or(|(code, _)| code != "40P01") {
                return seen;
            }
        }
    }
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) cells: Vec<String>,
    pub(crate) error: Option<(String, String)>,
}

impl Seen {
    /// What several statements show; after an error what is open is rolled back.
    pub(crate) async fn of(sql: &str, connection: &mut PgConnection) -> Self {
        let mut seen = Self::default();
        let failed = {
            let mut shown = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(&mut *connection);
            loop {
                match shown.try_next().await {
                    Ok(Some(Either::Right(row))) => seen.add(&row),
                    Ok(Some(Either::Left(_))) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            }
        };
        if let Some(error) = failed {
            seen.fail(&error);
            sqlx::raw_sql("ROLLBACK").execute(connection).await.unwrap();
        }
        seen
    }

    pub(crate) fn add(&mut self, row: &PgRow) {
        for column in 0..row.len() {
            let cell = row.try_get_raw(column).unwrap();
            self.cells.push(cell.as_str().unwrap_or("NULL").to_owned());
        }
    }

    /// All that an error tells.
    pub(crate) fn fail(&mut self, error: &sqlx::Error) {
        let Some(said) = error.as_database_error() else {
            self.error = Some((String::new(), error.to_string()));
            return;
        };
        let said = said.downcast_ref::<PgDatabaseError>();
        let more = [
            said.detail(),
            said.hint(),
            said.r#where(),
            said.constraint(),
        ];
        let text = more
            .into_iter()
            .flatten()
            .fold(said.message().to_owned(), |all, more| all + "; " + more);
        self.error = Some((said.code().to_owned(), text));
    }

    /// What is wrong with it.
    pub(crate) fn judge(&self, case: &Case<'_>, want: &Want) -> Result<(), String> {
        let error = self
            .error
            .as_ref()
            .map(|(code, text)| format!("{code}: {text}"));
        let texts = || self.cells.iter().chain(&error);
        for tenant in &case.world.tenants {
            let is_own = case
                .actor
                .is_some_and(|actor| actor.number == tenant.number);
            let canary = tenant.canary();
            if let Some(leak) = texts().find(|text| !is_own && text.contains(&canary)) {
                return Err(format!("somebody else's: {leak}"));
            }
        }
        let canaries = texts().filter(|text| text.contains("canary-")).count();
        let fits = match want {
            Want::Refused(codes) => {
                let code = self.error.as_ref().map(|(code, _)| &**code);
                return match code {
                    Some(code) if codes.contains(&code) => Ok(()),
                    _ => Err(format!("not refused, but {error:?} {:?}", self.cells)),
                };
            }
            Want::Own => canaries > 0 || case.actor.is_none(),
            Want::Nothing => canaries == 0,
            Want::Plan => {
                let counts = texts().flat_map(|text| removed(text));
                !counts.into_iter().any(|count| count == case.target.rows())
            }
            Want::Quiet => true,
            Want::Says(text) => self.cells.last() == Some(text),
        };
        match fits && error.is_none() {
            true => Ok(()),
            false => Err(format!("not what was wanted: {error:?} {:?}", self.cells)),
        }
    }
}

/// How many rows a plan says that it has left out.
fn removed(plan: &str) -> Vec<usize> {
    let counts = plan.split("Rows Removed by Filter").skip(1);
    let number = |rest: &str| {
        let digits = rest.trim_start_matches(['"', ':', ' ']);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        digits[..end.unwrap_or(digits.len())].parse().unwrap()
    };
    counts.map(number).collect()
}
