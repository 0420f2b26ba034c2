//! A desk against a model of it: a list, and rules that are looked up one by one.

use std::num::NonZeroUsize;

use serde_json::{Value, json};
use stageflow::context::{ApprovalId, OrgId, RunId, SeededIds};
use stageflow::events::ApprovalState;
use stageflow::executor::{
    ApprovalRequest, ApprovalStatus, Approvals as _, DeskError, DeskErrorKind, DeskOptions,
    EditCheck,
};
use stageflow::prelude::*;
use stageflow_testkit::Property;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;

const MAX_PENDING: usize = 4;
const HISTORY: usize = 3;

/// Who acts: the whole desk, or one of two orgs.
type Who = Option<usize>;

#[derive(Clone, Debug)]
enum Act {
    Submit { org: usize },
    SubmitAgain { which: usize },
    Approve { which: usize, who: Who },
    Edit { which: usize, who: Who, fits: bool },
    Reject { which: usize, who: Who },
    Expire { which: usize },
    Withdraw { which: usize },
    Next { who: Who },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let which = || 0..8_usize;
    let who = || proptest::option::of(0..2_usize);
    let act = prop_oneof![
        3 => (0..2_usize).prop_map(|org| Act::Submit { org }),
        1 => which().prop_map(|which| Act::SubmitAgain { which }),
        2 => (which(), who()).prop_map(|(which, who)| Act::Approve { which, who }),
        2 => (which(), who(), any::<bool>())
            .prop_map(|(which, who, fits)| Act::Edit { which, who, fits }),
        2 => (which(), who()).prop_map(|(which, who)| Act::Reject { which, who }),
        1 => which().prop_map(|which| Act::Expire { which }),
        2 => which().prop_map(|which| Act::Withdraw { which }),
        1 => who().prop_map(|who| Act::Next { who }),
    ];
    proptest::collection::vec(act, 1..60)
}

/// What the model knows of a request.
#[derive(Clone, Debug)]
struct Known {
    id: ApprovalId,
    org: usize,
    state: ApprovalState,
    /// When it was put away, counted from the first.
    closed: Option<usize>,
    given: bool,
}

struct Model {
    all: Vec<Known>,
    closed: usize,
}

impl Model {
    fn forgotten(&self, known: &Known) -> bool {
        known.closed.is_some_and(|at| at + HISTORY < self.closed)
    }

    /// What a decision about a request comes to.
    fn decide(&mut self, which: usize, who: Who, to: ApprovalState) -> Result<(), DeskErrorKind> {
        let known = self.all[which].clone();
        if self.forgotten(&known) || who.is_some_and(|org| org != known.org) {
            return Err(DeskErrorKind::Unknown);
        }
        if known.state != ApprovalState::Pending {
            return Err(DeskErrorKind::Closed(known.state));
        }
        self.all[which].state = to;
        Ok(())
    }

    fn close(&mut self, which: usize, to: ApprovalState) -> Option<ApprovalState> {
        if self.forgotten(&self.all[which]) {
            return None;
        }
        let known = &mut self.all[which];
        if known.closed.is_none() {
            known.closed = Some(self.closed);
            self.closed += 1;
            if known.state == ApprovalState::Pending {
                known.state = to;
            }
        }
        Some(self.all[which].state)
    }

    fn pending(&self, who: Who) -> Vec<ApprovalId> {
        let may = |known: &&Known| {
            known.state == ApprovalState::Pending && who.is_none_or(|org| org == known.org)
        };
        self.all.iter().filter(may).map(|known| known.id).collect()
    }
}

struct Bench {
    desk: ApprovalDesk,
    orgs: [OrgId; 2],
    ids: SeededIds,
    model: Model,
}

impl Bench {
    fn new() -> Self {
        let ids = SeededIds::new(3);
        let options = DeskOptions::new()
            .max_pending(NonZeroUsize::new(MAX_PENDING).unwrap())
            .history(HISTORY);
        Self {
            desk: ApprovalDesk::with(options),
            orgs: [(); 2].map(|()| OrgId::generate(&ids)),
            ids,
            model: Model {
                all: Vec::new(),
                closed: 0,
            },
        }
    }

    fn request(&self, id: ApprovalId, org: usize) -> ApprovalRequest {
        let time = json!({ "secs_since_epoch": 1, "nanos_since_epoch": 0 });
        serde_json::from_value(json!({
            "id": id, "org": self.orgs[org], "run": RunId::generate(&self.ids),
            "correlation": "cor_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d", "pipeline": "p", "path": "a",
            "title": "?", "payload": 1, "asked_at": time,
        }))
        .unwrap()
    }

    fn submit(&self, id: ApprovalId, org: usize) -> Result<(), DeskErrorKind> {
        let submitted = self
            .desk
            .submit(self.request(id, org), EditCheck::reads_as::<u64>());
        let submitted = futures_util::FutureExt::now_or_never(submitted).unwrap();
        submitted.map_err(|error| error.kind().clone())
    }

    fn act(&mut self, act: &Act) -> TestCaseResult {
        match *act {
            Act::Submit { org } => {
                let id = ApprovalId::generate(&self.ids);
                let open = self.model.all.iter().filter(|known| known.closed.is_none());
                let full = open.count() == MAX_PENDING;
                let submitted = self.submit(id, org);
                if full {
                    let limit = MAX_PENDING;
                    prop_assert_eq!(submitted, Err(DeskErrorKind::Full { limit }));
                    return Ok(());
                }
                prop_assert_eq!(submitted, Ok(()));
                self.model.all.push(Known {
                    id,
                    org,
                    state: ApprovalState::Pending,
                    closed: None,
                    given: false,
                });
            }
            Act::SubmitAgain { which } => {
                let known = self.model.all[which].clone();
                if !self.model.forgotten(&known) {
                    let submitted = self.submit(known.id, known.org);
                    prop_assert_eq!(submitted, Err(DeskErrorKind::Taken));
                }
            }
            Act::Approve { which, who } => {
                let wanted = self.model.decide(which, who, ApprovalState::Approved);
                let id = self.model.all[which].id;
                let did = match who {
                    None => self.desk.approve(id, "ada"),
                    Some(org) => self.desk.of(self.orgs[org]).approve(id, "ada"),
                };
                prop_assert_eq!(kind(did), wanted);
            }
            Act::Reject { which, who } => {
                let wanted = self.model.decide(which, who, ApprovalState::Rejected);
                let id = self.model.all[which].id;
                let did = match who {
                    None => self.desk.reject(id, "no", "ada"),
                    Some(org) => self.desk.of(self.orgs[org]).reject(id, "no", "ada"),
                };
                prop_assert_eq!(kind(did), wanted);
            }
            Act::Edit { which, who, fits } => self.edit(which, who, fits)?,
            Act::Expire { which } => {
                let wanted = self.model.close(which, ApprovalState::Expired);
                let did = self.close(which, ApprovalStatus::Expired);
                prop_assert_eq!(did, wanted);
            }
            Act::Withdraw { which } => {
                let wanted = self.model.close(which, ApprovalState::Withdrawn);
                let did = self.close(which, ApprovalStatus::Withdrawn);
                prop_assert_eq!(did, wanted);
            }
            Act::Next { who } => self.next(who)?,
        }
        Ok(())
    }

    fn close(&self, which: usize, status: ApprovalStatus) -> Option<ApprovalState> {
        let closed = self.desk.close(self.model.all[which].id, status);
        closed.map(|status| status.state())
    }

    fn edit(&mut self, which: usize, who: Who, fits: bool) -> TestCaseResult {
        let id = self.model.all[which].id;
        let value: Value = if fits { json!(2) } else { json!("two") };
        let did = match who {
            None => self.desk.edit(id, value, "ada"),
            Some(org) => self.desk.of(self.orgs[org]).edit(id, value, "ada"),
        };
        let before = self.model.all[which].state;
        match self.model.decide(which, who, ApprovalState::Edited) {
            Ok(()) if !fits => {
                self.model.all[which].state = before;
                prop_assert!(matches!(kind(did), Err(DeskErrorKind::DoesNotFit(_))));
            }
            wanted => prop_assert_eq!(kind(did), wanted),
        }
        Ok(())
    }

    fn next(&mut self, who: Who) -> TestCaseResult {
        let given = match who {
            None => futures_util::FutureExt::now_or_never(self.desk.next_request()),
            Some(org) => {
                let desk = self.desk.of(self.orgs[org]);
                futures_util::FutureExt::now_or_never(desk.next_request())
            }
        };
        let pending = self.model.pending(who);
        let mut all = self.model.all.iter_mut();
        let wanted = all.find(|known| !known.given && pending.contains(&known.id));
        prop_assert_eq!(
            given.map(|request| request.id),
            wanted.as_ref().map(|known| known.id)
        );
        if let Some(known) = wanted {
            known.given = true;
        }
        Ok(())
    }

    /// Everything the desk shows is what the model knows.
    fn compare(&self) -> TestCaseResult {
        for who in [None, Some(0), Some(1)] {
            let (pending, history) = match who {
                None => (self.desk.pending(), self.desk.history()),
                Some(org) => {
                    let desk = self.desk.of(self.orgs[org]);
                    (desk.pending(), desk.history())
                }
            };
            let pending: Vec<_> = pending.iter().map(|request| request.id).collect();
            prop_assert_eq!(pending, self.model.pending(who));
            let mut closed: Vec<_> = self
                .model
                .all
                .iter()
                .filter(|known| known.closed.is_some() && !self.model.forgotten(known))
                .filter(|known| who.is_none_or(|org| org == known.org))
                .collect();
            closed.sort_by_key(|known| known.closed);
            let closed: Vec<_> = closed.iter().map(|known| (known.id, known.state)).collect();
            let history: Vec<_> = history
                .iter()
                .map(|record| (record.request.id, record.status.state()))
                .collect();
            prop_assert_eq!(history, closed);
        }
        Ok(())
    }
}

fn kind(done: Result<(), DeskError>) -> Result<(), DeskErrorKind> {
    done.map_err(|error| error.kind().clone())
}

#[test]
fn a_desk_does_what_its_model_does() {
    Property::new("a desk does what its model does")
        .cases(2_000)
        .each_counts_as(4)
        .holds_for(&acts(), |acts| {
            let mut bench = Bench::new();
            for act in &acts {
                let which = match act {
                    Act::SubmitAgain { which }
                    | Act::Approve { which, .. }
                    | Act::Edit { which, .. }
                    | Act::Reject { which, .. }
                    | Act::Expire { which }
                    | Act::Withdraw { which } => *which,
                    Act::Submit { .. } | Act::Next { .. } => 0,
                };
                let asks_for_none = matches!(act, Act::Submit { .. } | Act::Next { .. });
                if asks_for_none || which < bench.model.all.len() {
                    bench.act(act)?;
                    bench.compare()?;
                }
            }
            Ok(())
        });
}
