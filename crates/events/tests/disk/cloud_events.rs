//! Records as other tools know them: nothing is lost, and the rules of the specification hold.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use stageflow_events::{CloudEvent, EventRecord};
use stageflow_testkit::Property;

use crate::records::record;

/// The last microsecond of the year 9999.
const LAST: u64 = 253_402_300_799_999_999;

fn records() -> impl Strategy<Value = EventRecord> {
    let text = || prop_oneof![Just("a b/ü%".to_owned()), "[a-z0-9_-]{0,12}", "\\PC{0,8}"];
    let maybe = || prop::option::of(text());
    let numbers = (any::<u64>(), 0..=LAST, any::<u64>(), any::<Option<u32>>());
    let names = (text(), text(), text(), text(), text());
    let ids = prop::collection::vec(maybe(), 10);
    (numbers, names, ids).prop_map(|((seq, time, elapsed, attempt), names, ids)| {
        let mut record = record("docs.loaded", seq, &json!({ "n": seq, "of": names.0 }));
        record.time_us = time;
        record.elapsed_ns = elapsed;
        record.attempt = attempt;
        record.pipeline = names.0;
        record.run_id = names.1;
        record.correlation_id = names.2;
        record.trace_id = names.3;
        record.span_id = names.4;
        let mut ids = ids.into_iter();
        for field in [
            &mut record.request_id,
            &mut record.session_id,
            &mut record.user_id,
            &mut record.org_id,
            &mut record.interaction_id,
            &mut record.parent_run_id,
            &mut record.parent_stage,
            &mut record.parent_span_id,
            &mut record.stage,
            &mut record.part,
        ] {
            *field = ids.next().flatten();
        }
        record
    })
}

#[test]
fn a_record_comes_back_as_it_was() {
    Property::new("a record comes back from a cloud event").holds_for(&records(), |record| {
        let text = serde_json::to_string(&CloudEvent::from(&record)).unwrap();
        let event: CloudEvent = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(event.to_record(), Some(record));
        Ok(())
    });
}

/// CloudEvents 1.0, sections "Naming conventions", "Type system" and "Context attributes".
#[test]
fn the_rules_of_the_specification_hold() {
    Property::new("a cloud event keeps the rules").holds_for(&records(), |record| {
        let Value::Object(event) = serde_json::to_value(CloudEvent::from(&record)).unwrap() else {
            panic!("not an object");
        };
        for (name, value) in &event {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            prop_assert!(name.chars().all(is_plain), "{}", name);
            prop_assert!(name.len() <= 20, "{}", name);
            let is_simple = value.is_string() || value.is_u64() || value.is_boolean();
            prop_assert!(is_simple || name == "data", "{}", name);
        }
        for required in ["specversion", "id", "source", "type"] {
            let value = event[required].as_str();
            prop_assert!(value.is_some_and(|value| !value.is_empty()), "{}", required);
        }
        let source = event["source"].as_str().unwrap();
        let of_uri = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
        prop_assert!(source.chars().all(of_uri), "{}", source);
        Ok(())
    });
}

#[test]
fn each_field_has_its_place() {
    let mut record = record("part.started", 7, &json!({ "pages": 3 }));
    record.part = Some("[3]".to_owned());
    record.attempt = Some(2);
    record.org_id = Some("org_1".to_owned());
    record.pipeline = "docs qa/ü".to_owned();
    let event = serde_json::to_value(CloudEvent::from(&record)).unwrap();
    assert_eq!(
        event,
        json!({
            "specversion": "1.0",
            "id": "run_1/7",
            "source": "/stageflow/docs%20qa%2F%C3%BC",
            "type": "dev.stageflow.part.started",
            "subject": "load[3]",
            "time": "2023-11-14T22:13:20.000007Z",
            "datacontenttype": "application/json",
            "wireversion": 2,
            "sequence": "7",
            "elapsedns": "7000",
            "runid": "run_1",
            "correlationid": "cor_1",
            "orgid": "org_1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "traceid": "0af7651916cd43dd8448eb211c80319c",
            "spanid": "b7ad6b7169203331",
            "stage": "load",
            "part": "[3]",
            "attempt": 2,
            "data": { "pages": 3 },
        })
    );
}

#[test]
fn what_somebody_else_wrote_is_no_record() {
    let mut event = CloudEvent::from(&record("run.started", 0, &Value::Null));
    event.kind = "com.example.sold".to_owned();
    assert_eq!(event.to_record(), None);
}

/// Every day until 2499, and some moments of each, against a calendar that counts day by day.
#[test]
fn times_are_those_of_the_calendar() {
    let of = |micros| {
        let mut record = record("run.started", 0, &Value::Null);
        record.time_us = micros;
        CloudEvent::from(&record).time
    };
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for number in 0.. {
        let start = Duration::from_secs(number * 86_400).as_micros() as u64;
        let date = format!("{year:04}-{month:02}-{day:02}");
        assert_eq!(of(start), format!("{date}T00:00:00.000000Z"));
        assert_eq!(
            of(start + 86_399_999_999),
            format!("{date}T23:59:59.999999Z")
        );
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day += 1;
        if day > days {
            (month, day) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
        if year == 2500 {
            break;
        }
    }
    assert_eq!(of(LAST), "9999-12-31T23:59:59.999999Z");
    assert_eq!(of(u64::MAX), "9999-12-31T23:59:59.999999Z");
}
