//! Values that are easily got wrong, there and back.

use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stageflow::context::{ContextSnapshot, Extension, SeededIds, SnapshotError, SnapshotErrorKind};

use crate::scenarios::d1_snapshots::model::{Model, same};
use crate::scenarios::d1_snapshots::ops::{Op, Twin, float};
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError};

/// How many numbers or texts go into one snapshot.
const CHUNK: usize = 1000;

/// A number of a user's own type.
#[derive(Serialize, Deserialize)]
struct Measure {
    double: f64,
    single: f32,
    wide: i128,
    unsigned: u64,
    letter: char,
}

impl Extension for Measure {
    const NAME: &'static str = "stress.measure";
}

impl Measure {
    fn draw(turn: u64, rng: &mut ChaCha8Rng) -> Self {
        let double = match turn {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            _ => f64::from_bits(rng.random()),
        };
        Self {
            double,
            single: f32::from_bits(rng.random()),
            wide: rng.random::<i128>() >> rng.random_range(0..128),
            unsigned: rng.random(),
            letter: char::from_u32(rng.random_range(0..0x11_0000)).unwrap_or('\0'),
        }
    }

    /// Whether it came back to the bit, or was refused for a reason.
    fn is_carried(&self, carried: &Result<Option<Arc<Self>>, SnapshotError>) -> bool {
        let can_be_written = self.double.is_finite() && self.single.is_finite();
        match carried {
            Ok(Some(back)) => {
                can_be_written
                    && back.double.to_bits() == self.double.to_bits()
                    && back.single.to_bits() == self.single.to_bits()
                    && back.wide == self.wide
                    && back.unsigned == self.unsigned
                    && back.letter == self.letter
            }
            Ok(None) => false,
            // 128 bits are more than a reader of JSON has to take: refused is right, changed would not be.
            Err(error) => {
                let wide = i64::try_from(self.wide).is_err() && u64::try_from(self.wide).is_err();
                error.kind() == SnapshotErrorKind::Extension && (!can_be_written || wide)
            }
        }
    }
}

pub(super) fn empty(lab: &Lab) -> ContextSnapshot {
    ContextSnapshot::new(full_identity(&SeededIds::new(lab.seed().get())))
}

/// Random snapshots with something in every part; the text is stable, and the model is still held after it.
pub(super) fn whole_snapshots(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(1000);
    lab.trials(count, |lab, trial| {
        let (ids, mut rng) = (SeededIds::new(trial.seed.get()), trial.seed.rng());
        let identity = full_identity(&ids);
        let mut twin = Twin {
            snapshot: ContextSnapshot::new(identity.clone()),
            model: Model::of(identity),
        };
        for step in 0..28 {
            let op = Op::ALL[step % 13];
            twin = twin.apply(op, &ids, &mut rng).map_err(LabError::new)?;
        }
        let text = twin.snapshot.to_json().map_err(LabError::new)?;
        let read = ContextSnapshot::from_json(&text);
        let differs = read.as_ref().map(|read| twin.model.differs(read));
        lab.check(
            matches!(differs, Ok(None)),
            "a snapshot comes back as it was",
            Breach::Lost,
            || format!("{differs:?} of {text}"),
        );
        let again = read.and_then(|read| read.to_json());
        lab.check(
            again.as_ref() == Ok(&text),
            "written twice, it is the same text",
            Breach::WrongStatus,
            || format!("{again:?} after {text}"),
        );
        Ok(())
    })
}

/// Each value alone, and its type with it: `1` is not `1.0`.
fn round_trip(
    lab: &Lab,
    values: &[Value],
    break_it: impl Fn(usize, Value) -> Value,
) -> Result<(), LabError> {
    let written = empty(lab)
        .with_metadata("values", Value::Array(values.to_vec()))
        .map_err(LabError::new)?;
    let text = written.to_json().map_err(LabError::new)?;
    let read = ContextSnapshot::from_json(&text).map_err(LabError::new)?;
    let back = read
        .metadata()
        .get("values")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    lab.check(
        back.len() == values.len(),
        "no value is lost",
        Breach::Lost,
        || format!("{} of {}", back.len(), values.len()),
    );
    for (index, (value, back)) in values.iter().zip(back).enumerate() {
        let back = break_it(index, back);
        lab.check(
            same(value, &back),
            "a value comes back to the bit",
            Breach::Lost,
            || format!("{value} became {back}"),
        );
    }
    Ok(())
}

fn edges() -> Value {
    json!([
        u64::MAX,
        u64::MAX - 1,
        i64::MIN,
        i64::MAX,
        0,
        -1,
        1u64 << 53,
        (1u64 << 53) + 1,
        -0.0,
        0.0,
        5e-324,
        -5e-324,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        1e308,
        1e-308,
        0.1,
        1.0,
        1e15,
        1e16,
        1e21,
        123456789.125
    ])
}

pub(super) fn numbers(lab: &mut Lab) -> Result<(), LabError> {
    let plus_zero = lab.is_broken("negative-zero");
    let edges = edges().as_array().cloned().unwrap_or_default();
    round_trip(lab, &edges, |_, value| match value.as_f64() {
        Some(float) if plus_zero && float == 0.0 && value.is_f64() => json!(0.0),
        _ => value,
    })?;
    lab.count_trials(edges.len() as u64);
    let lossy = lab.is_broken("lossy-float");
    let count = lab.scaled(200);
    lab.trials(count, |lab, trial| {
        let mut rng = trial.seed.rng();
        let values: Vec<Value> = (0..CHUNK)
            .map(|at| match at % 4 {
                0 => json!(rng.random::<u64>()),
                1 => json!(rng.random::<i64>()),
                _ => json!(float(&mut rng)),
            })
            .collect();
        lab.count_trials(CHUNK as u64 - 1);
        round_trip(lab, &values, |at, value| match value.as_f64() {
            Some(float) if lossy && at == CHUNK - 1 => json!(f64::from(float as f32)),
            _ => value,
        })
    })?;
    if lab.is_over() {
        return Ok(());
    }
    typed_numbers(lab)
}

/// Numbers inside a user's own type: what JSON cannot say is refused, never turned into something else.
fn typed_numbers(lab: &mut Lab) -> Result<(), LabError> {
    let empty = empty(lab);
    let seed = lab.seed().named("measures");
    let mut rng = seed.rng();
    for turn in 0..lab.scaled(5000) {
        let measure = Measure::draw(turn, &mut rng);
        let carried = empty.with_extension(&measure).and_then(|written| {
            let read = ContextSnapshot::from_json(&written.to_json()?)?;
            read.extension::<Measure>()
        });
        let sound = measure.is_carried(&carried);
        let back =
            carried.map(|back| back.map(|back| (back.double, back.single, back.wide, back.letter)));
        lab.check(
            sound,
            "a number is carried to the bit, or refused",
            Breach::Lost,
            || {
                let Measure {
                    double,
                    single,
                    wide,
                    letter,
                    ..
                } = measure;
                format!("{double:e} {single:e} {wide} {letter:?} became {back:?}")
            },
        );
    }
    let turns = lab.scaled(5000);
    lab.count_trials(turns);
    Ok(())
}

/// Every character there is, as value and as key.
pub(super) fn texts(lab: &mut Lab) -> Result<(), LabError> {
    let all: Vec<char> = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
    let cuts = lab.is_broken("cut-at-nul");
    for (part, chunk) in all.chunks(1 << 16).enumerate() {
        if lab.is_over() {
            return Ok(());
        }
        let text: String = chunk.iter().collect();
        let keys = chunk
            .chunks(8)
            .map(|key| (key.iter().collect::<String>(), json!(part)));
        let value = json!({ "text": text, "keys": Value::Object(keys.collect()) });
        round_trip(lab, &[value], |_, mut value| {
            let text = value.get_mut("text");
            if let (true, Some(Value::String(text))) = (cuts, text) {
                *text = text.split('\0').next().unwrap_or_default().to_owned();
            }
            value
        })?;
    }
    lab.count_trials(all.len() as u64);
    keys(lab)
}

/// Keys that other formats trip over.
fn keys(lab: &mut Lab) -> Result<(), LabError> {
    let megabyte = "k".repeat(1 << 20);
    for key in [
        "",
        ".",
        "a.b.c",
        "a[0]",
        "\0",
        "\u{0}a",
        " ",
        "null",
        "__proto__",
        "\"",
        "\\",
        "\u{202e}",
        &megabyte,
    ] {
        let written = empty(lab)
            .with_metadata(key, json!({ key: key }))
            .map_err(LabError::new)?;
        let read = written
            .to_json()
            .and_then(|text| ContextSnapshot::from_json(&text));
        let back = read.map(|read| read.metadata().get(key).cloned());
        lab.check(
            back == Ok(Some(json!({ key: key }))),
            "a key comes back as it was",
            Breach::Lost,
            || {
                format!(
                    "{:?} became {:.200}",
                    key.get(..8).unwrap_or(key),
                    format!("{back:?}")
                )
            },
        );
    }
    lab.count_trials(13);
    Ok(())
}
