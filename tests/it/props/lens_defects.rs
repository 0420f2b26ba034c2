//! Sound journals of random programs, each with one defect: it is found, and nothing else is.

use stageflow::events::EventRecord;
use stageflow_lens::{Arrival, FindingKind};
use stageflow_testkit::program::Speed;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Property, paused};

use super::lens::{analyzed, programs, run};

/// One defect, put into a sound journal.
#[derive(Clone, Copy, Debug)]
enum Defect {
    LoseEvent,
    LoseEnd,
    RepeatEvent,
    SwapEvents,
    EventAfterEnd,
    ForgetRunEnd,
    ForgetRunStart,
    NoCorrelation,
    OtherOrg,
    NoStage,
    TimeGoesBack,
    OtherParent,
    EndOfNothing,
    MarkedLoss,
}

impl Defect {
    const ALL: [Self; 14] = [
        Self::LoseEvent,
        Self::LoseEnd,
        Self::RepeatEvent,
        Self::SwapEvents,
        Self::EventAfterEnd,
        Self::ForgetRunEnd,
        Self::ForgetRunStart,
        Self::NoCorrelation,
        Self::OtherOrg,
        Self::NoStage,
        Self::TimeGoesBack,
        Self::OtherParent,
        Self::EndOfNothing,
        Self::MarkedLoss,
    ];

    /// What is found, and what else may follow from it.
    fn found(self) -> (FindingKind, &'static [FindingKind]) {
        use FindingKind as Kind;
        const HOLES: &[FindingKind] = &[
            Kind::OrphanStart,
            Kind::EndWithoutStart,
            Kind::StraySpan,
            Kind::StartedEarly,
        ];
        match self {
            Self::LoseEvent => (Kind::Gap, HOLES),
            Self::LoseEnd => (Kind::OrphanStart, &[Kind::StartedEarly, Kind::StartedTwice]),
            Self::RepeatEvent => (Kind::Repeated, &[]),
            Self::SwapEvents => (Kind::OutOfOrder, &[]),
            Self::EventAfterEnd => (Kind::AfterEnd, &[]),
            Self::ForgetRunEnd => (Kind::NeverEnded, &[Kind::OrphanStart]),
            Self::ForgetRunStart => (Kind::NeverStarted, &[]),
            Self::NoCorrelation => (Kind::MissingField, &[]),
            Self::OtherOrg => (Kind::MixedIdentity, &[]),
            Self::NoStage => (
                Kind::MissingField,
                &[Kind::OrphanStart, Kind::StartedEarly, Kind::StraySpan],
            ),
            Self::TimeGoesBack => (Kind::TimeBackwards, &[]),
            Self::OtherParent => (Kind::StraySpan, &[]),
            Self::EndOfNothing => (Kind::EndWithoutStart, &[]),
            Self::MarkedLoss => (Kind::Lost, HOLES),
        }
    }

    /// Puts it in, at this place or after. `false` if there is no place for it.
    fn inject(self, records: &mut Vec<EventRecord>, at: usize) -> bool {
        let last = records.len() - 1;
        let inner = 1 + at % last.max(1);
        let place_of = |records: &[EventRecord], wanted: &dyn Fn(&EventRecord) -> bool| {
            let places: Vec<usize> = (0..records.len())
                .filter(|at| wanted(&records[*at]))
                .collect();
            (!places.is_empty()).then(|| places[at % places.len()])
        };
        let renumber = |records: &mut [EventRecord]| {
            for (seq, record) in (0..).zip(records.iter_mut()) {
                record.seq = seq;
            }
        };
        match self {
            Self::LoseEvent if inner < last => drop(records.remove(inner)),
            Self::MarkedLoss if inner < last => {
                let mut marker = records.remove(inner);
                marker.kind = "telemetry.dropped".to_owned();
                marker.data = serde_json::json!({ "count": 1, "first_seq": marker.seq, "last_seq": marker.seq });
                records.insert(inner, marker);
            }
            Self::LoseEnd => {
                let is_end = |record: &EventRecord| {
                    let kind = record.kind.as_str();
                    matches!(kind, "stage.ended" | "part.ended")
                };
                let Some(place) = place_of(records, &is_end) else {
                    return false;
                };
                records.remove(place);
                renumber(records);
            }
            Self::RepeatEvent => records.insert(inner, records[inner].clone()),
            Self::SwapEvents if inner < last => records.swap(inner, inner + 1),
            Self::EventAfterEnd => {
                let mut more = records[inner.min(last - 1)].clone();
                (more.seq, more.elapsed_ns) = (last as u64 + 1, records[last].elapsed_ns);
                records.push(more);
            }
            Self::ForgetRunEnd => drop(records.pop()),
            Self::ForgetRunStart => {
                records.remove(0);
                renumber(records);
            }
            Self::NoCorrelation => records[inner].correlation_id.clear(),
            Self::OtherOrg => records[inner].org_id = Some("org_another".to_owned()),
            Self::NoStage => {
                let Some(place) = place_of(records, &|record| record.kind == "stage.ended") else {
                    return false;
                };
                records[place].stage = None;
            }
            Self::TimeGoesBack => {
                let Some(place) = place_of(records, &|record| record.elapsed_ns > 0) else {
                    return false;
                };
                if records[place - 1].elapsed_ns == 0 {
                    return false;
                }
                records[place].elapsed_ns = records[place - 1].elapsed_ns - 1;
            }
            Self::OtherParent => {
                let is_start = |record: &EventRecord| record.kind == "part.started";
                let Some(place) = place_of(records, &is_start) else {
                    return false;
                };
                records[place].parent_span_id = Some("00000000000000ff".to_owned());
            }
            Self::EndOfNothing => {
                let is_end = |record: &EventRecord| record.kind == "stage.ended";
                let Some(place) = place_of(records, &is_end) else {
                    return false;
                };
                let again = records[place].clone();
                records.insert(place, again);
                renumber(records);
            }
            _ => return false,
        }
        true
    }
}

#[test]
fn each_defect_is_found_and_nothing_else() {
    let cases = (programs(), any::<usize>(), 0..Defect::ALL.len());
    let mut injected = std::collections::BTreeMap::new();
    let injected = std::sync::Mutex::new(&mut injected);
    Property::new("each defect is found, and nothing else")
        .cases(1500)
        .holds_for(&cases, |(program, at, defect)| {
            let defect = Defect::ALL[defect];
            let ran = paused(run(&program, Speed::Clock));
            let run_id = ran.report.id().to_string();
            let mut records: Vec<EventRecord> = ran
                .records
                .into_iter()
                .filter(|record| record.run_id == run_id)
                .collect();
            if records.len() < 3 || !defect.inject(&mut records, at) {
                return Ok(());
            }
            *injected
                .lock()
                .unwrap()
                .entry(format!("{defect:?}"))
                .or_insert(0) += 1;
            let found = analyzed(&records, Arrival::InOrder);
            let (wanted, may_follow) = defect.found();
            let lines: Vec<String> = records.iter().map(stageflow_lens::line).collect();
            prop_assert!(
                found.count(wanted) > 0,
                "{:?}: {:#?}\n{}",
                defect,
                found,
                lines.join("\n")
            );
            for (kind, _) in found.counts() {
                prop_assert!(
                    kind == wanted || may_follow.contains(&kind),
                    "{:?}: {:#?}\n{}",
                    defect,
                    found,
                    lines.join("\n")
                );
            }
            Ok(())
        });
    assert_eq!(
        injected.lock().unwrap().len(),
        Defect::ALL.len(),
        "each defect was tried"
    );
}
