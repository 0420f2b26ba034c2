//! What is too much, too deep or too large a number: a typed error, and nothing else.

use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use stageflow::context::{
    ContextSnapshot, Extension, Message, SnapshotError, SnapshotErrorKind, SnapshotLimits,
};

use super::values::empty;
use crate::{Breach, Lab, LabError};

/// As deep as it says.
struct Deep(usize);

impl Serialize for Deep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(1))?;
        if self.0 > 1 {
            list.serialize_element(&Self(self.0 - 1))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Deep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(depth(&value)))
    }
}

impl Extension for Deep {
    const NAME: &'static str = "stress.deep";
}

fn depth(mut value: &Value) -> usize {
    let mut depth = 0;
    while let Value::Array(items) = value {
        depth += 1;
        let Some(item) = items.first() else { break };
        value = item;
    }
    depth
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| Value::Array(vec![inner]))
}

pub(super) fn refused(lab: &mut Lab) -> Result<(), LabError> {
    let (limits, empty) = (SnapshotLimits::new(), empty(lab));
    let deepest = limits.max_depth();
    for levels in [1, deepest - 1, deepest, deepest + 1, 1000, 100_000] {
        let fits = levels <= deepest;
        expect(
            lab,
            &format!("{levels} levels"),
            fits,
            SnapshotErrorKind::TooDeep,
            || {
                let read = through(&empty.with_metadata("deep", nested(levels))?)?;
                Ok(read.metadata().get("deep").map(depth) == Some(levels))
            },
        );
        if levels <= 1000 {
            expect(
                lab,
                &format!("{levels} levels in an extension"),
                fits,
                SnapshotErrorKind::TooDeep,
                || {
                    let read = through(&empty.with_extension(&Deep(levels))?)?;
                    Ok(read
                        .extension::<Deep>()?
                        .is_some_and(|deep| deep.0 == levels))
                },
            );
        }
    }
    if lab.is_over() {
        return Ok(());
    }
    many_keys(lab, &empty, limits.max_metadata())?;
    many_messages(lab, &empty);
    huge_numbers(lab, &empty)
}

fn through(snapshot: &ContextSnapshot) -> Result<ContextSnapshot, SnapshotError> {
    ContextSnapshot::from_json(&snapshot.to_json()?)
}

/// Either it fits and is all there, or it is refused for this reason.
fn expect(
    lab: &Lab,
    what: &str,
    fits: bool,
    kind: SnapshotErrorKind,
    carry: impl FnOnce() -> Result<bool, SnapshotError>,
) {
    let mut carried = carry();
    if lab.is_broken("silent-limit") && carried.is_err() {
        carried = Ok(true);
    }
    let sound = match &carried {
        Ok(whole) => fits && *whole,
        Err(error) => {
            !fits && error.kind() == kind && error.path().is_some() && !error.code().is_empty()
        }
    };
    lab.check(
        sound,
        "what is too much is refused, with its place and its code",
        Breach::Lost,
        || format!("{what} (fits: {fits}): {carried:?}"),
    );
    lab.witness.book.count_trials(1);
}

fn many_keys(lab: &Lab, empty: &ContextSnapshot, most: usize) -> Result<(), LabError> {
    let mut full = empty.clone();
    for key in 0..most {
        full = full
            .with_metadata(format!("key.{key}"), json!(key))
            .map_err(LabError::new)?;
    }
    expect(
        lab,
        "as many keys as there may be",
        true,
        SnapshotErrorKind::TooMany,
        || {
            let read = through(&full)?;
            let all = (0..most)
                .all(|key| read.metadata().get(&format!("key.{key}")) == Some(&json!(key)));
            Ok(all && read.metadata().len() == most && read.digest()? == full.digest()?)
        },
    );
    expect(
        lab,
        "one key too many",
        false,
        SnapshotErrorKind::TooMany,
        || {
            full.with_metadata("one more", json!(1))
                .map(|more| more.metadata().len() > most)
        },
    );
    let keys = (0..100_000).map(|key| (format!("key.{key}"), json!(key)));
    let object = Value::Object(keys.collect());
    expect(
        lab,
        "100 000 keys inside a value",
        true,
        SnapshotErrorKind::TooMany,
        || {
            let read = through(&empty.with_metadata("object", object.clone())?)?;
            Ok(read.metadata().get("object") == Some(&object))
        },
    );
    Ok(())
}

fn many_messages(lab: &Lab, empty: &ContextSnapshot) {
    let few = SnapshotLimits::new().with_max_messages(100);
    for count in [100, 101] {
        let full = (0..count).fold(empty.clone(), |full, n| {
            full.with_message(Message::user(format!("message {n}")))
        });
        expect(
            lab,
            &format!("{count} messages of 100"),
            count <= 100,
            SnapshotErrorKind::TooMany,
            || {
                let read = ContextSnapshot::from_json_with(&full.to_json_with(&few)?, &few)?;
                Ok(read.conversation() == full.conversation())
            },
        );
        expect(
            lab,
            &format!("a reader of 100, a text of {count}"),
            count <= 100,
            SnapshotErrorKind::TooMany,
            || {
                let read = ContextSnapshot::from_json_with(&full.to_json()?, &few)?;
                Ok(read.conversation() == full.conversation())
            },
        );
    }
}

/// Numbers that no 64 bits hold, in a text from elsewhere.
fn huge_numbers(lab: &Lab, empty: &ContextSnapshot) -> Result<(), LabError> {
    let written = empty
        .with_metadata("number", json!("HERE"))
        .map_err(LabError::new)?;
    let text = written.to_json().map_err(LabError::new)?;
    let big = format!("1{}", "0".repeat(10_000));
    for number in [
        "1e400",
        "-1e400",
        &big,
        "18446744073709551616",
        "NaN",
        "Infinity",
        "01",
        "1.",
    ] {
        let altered = text.replace("\"HERE\"", number);
        let read = ContextSnapshot::from_json(&altered);
        lab.check(
            read.is_err(),
            "a number that was put in by hand is refused",
            Breach::Lost,
            || {
                format!(
                    "{:.40} became {:?}",
                    number,
                    read.map(|read| read.metadata().get("number").cloned())
                )
            },
        );
        lab.witness.book.count_trials(1);
    }
    Ok(())
}
