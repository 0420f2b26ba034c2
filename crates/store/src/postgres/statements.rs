//! The statements, whole and in advance: nothing is ever put into a text of SQL.

use crate::Class;

/// The statements for one table.
#[derive(Debug)]
pub(super) struct Statements {
    /// org, key, now
    pub(super) get: &'static str,
    /// org, keys
    pub(super) delete: &'static str,
    /// org, keys
    pub(super) hold: &'static str,
    /// Nothing, and not in a transaction.
    pub(super) compact: &'static str,
    /// org, now
    pub(super) expire: &'static str,
    /// org, keys, users, ats, untils, bodies, now
    pub(super) insert: &'static str,
    /// org, keys, users, ats, untils, bodies, now
    pub(super) put: &'static str,
    /// org, keys, users, ats, untils, bodies, now, versions
    pub(super) swap: &'static str,
    /// org, from, after, last time, now, most; then what is asked for: up to, user
    pub(super) scan: [&'static str; 4],
}

macro_rules! scan {
    ($table:literal, $($also:literal),*) => {
        concat!(
            "SELECT key, user_id, at, until, version, body FROM sf.", $table,
            " WHERE org_id = $1 AND key >= $2 AND key > $3 AND at <= $4 AND (until IS NULL OR until > $5)",
            $($also,)* " ORDER BY key LIMIT $6",
        )
    };
}

macro_rules! write_rows {
    ($table:literal, $then:literal) => {
        concat!(
            "INSERT INTO sf.", $table, " AS old (org_id, key, user_id, at, until, version, body) ",
            "SELECT $1, new.key, new.user_id, new.at, new.until, 0, new.body ",
            "FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[]) ",
            "AS new (key, user_id, at, until, body) ",
            "ON CONFLICT (org_id, key) DO UPDATE SET user_id = excluded.user_id, at = excluded.at, ",
            "until = excluded.until, body = excluded.body, ", $then,
        )
    };
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            get: concat!(
                "SELECT key, user_id, at, until, version, body FROM sf.",
                $table,
                " WHERE org_id = $1 AND key = $2 AND (until IS NULL OR until > $3)",
            ),
            delete: concat!(
                "DELETE FROM sf.",
                $table,
                " WHERE org_id = $1 AND key = ANY($2)"
            ),
            hold: concat!(
                "SELECT FROM sf.",
                $table,
                " WHERE org_id = $1 AND key = ANY($2) ORDER BY key FOR UPDATE"
            ),
            compact: concat!("VACUUM (FULL) sf.", $table),
            expire: concat!(
                "DELETE FROM sf.",
                $table,
                " WHERE org_id = $1 AND until <= $2"
            ),
            // A row that is no longer there may be written over.
            insert: write_rows!($table, "version = 0 WHERE old.until <= $7"),
            put: write_rows!(
                $table,
                "version = CASE WHEN old.until <= $7 THEN 0 ELSE old.version + 1 END"
            ),
            swap: concat!(
                "UPDATE sf.",
                $table,
                " AS old SET user_id = new.user_id, at = new.at, until = new.until, body = new.body, version = old.version + 1 ",
                "FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $8::bigint[]) ",
                "AS new (key, user_id, at, until, body, seen) WHERE old.org_id = $1 AND old.key = new.key ",
                "AND (old.until IS NULL OR old.until > $7) AND old.version = new.seen",
            ),
            scan: [
                scan!($table,),
                scan!($table, " AND key < $7"),
                scan!($table, " AND user_id = $7"),
                scan!($table, " AND key < $7 AND user_id = $8"),
            ],
        }
    };
}

/// The statements for a class.
pub(super) fn of(class: Class) -> &'static Statements {
    match class {
        Class::Answers => const { &statements!("answers") },
        Class::Approvals => const { &statements!("approvals") },
        Class::Audit => const { &statements!("audit") },
        Class::Documents => const { &statements!("documents") },
        Class::Events => const { &statements!("events") },
        Class::Runs => const { &statements!("runs") },
        Class::Upkeep => const { &statements!("upkeep") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_the_table_of_its_name() {
        for class in Class::ALL {
            let all = of(class);
            let table = format!(" sf.{} ", class.as_str());
            let texts = [
                all.get, all.delete, all.expire, all.hold, all.insert, all.put, all.swap,
            ];
            for text in texts.iter().chain(&all.scan) {
                assert_eq!(text.matches(&table).count(), 1, "{text}");
                assert_eq!(text.matches("sf.").count(), 1, "{text}");
                assert!(
                    text.contains("$1"),
                    "every statement says whose it is: {text}"
                );
            }
        }
    }
}
