//! A stress suite for Stageflow that can fail.
//!
//! ```text
//!   Registry ─▶ Scenario ─▶ Lab (seed, runtimes, engine) ─▶ ScenarioResult ─▶ findings, verdict, report
//!                  └─▶ Control: the same with something broken ─▶ noticed? ──┘
//! ```
//!
//! ```
//! use stageflow_stress::{Breach, Control, Registry, Scenario, Tier};
//!
//! let mine = Scenario::new("U1-TWICE", "doubling is adding to itself")
//!     .proves("2n = n + n")
//!     .tier(Tier::Smoke)
//!     .control(Control::own("off-by-one", "adds one too many"))
//!     .run(|lab| {
//!         lab.trials(10, |lab, trial| {
//!             let n = trial.seed.get() >> 1;
//!             let doubled = n + n + u64::from(lab.is_broken("off-by-one"));
//!             lab.check(doubled == 2 * n, "2n = n + n", Breach::WrongStatus, || format!("{n} gave {doubled}"));
//!             Ok(())
//!         })
//!     });
//! let registry = Registry::builtin().with(mine);
//! // A program of your own ends with `stageflow_stress::cli::main(&registry)`.
//! # assert!(registry.get("u1-twice").is_some());
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | run the suite | `cargo xtask stress`, or [`cli::main`] in a program of your own |
//! | add a scenario | [`Scenario`], [`Registry::with`] |
//! | say what it does | [`Lab`], which also has the engine, broken where a control breaks it |
//! | show that it could fail | [`Control`] |
//! | judge numbers | [`stats`] |
//! | read what came of it | [`ScenarioResult`] |
//!
//! # Invariants
//!
//! * The same seed gives the same cases; a finding carries the command that repeats it.
//! * What cannot be run is pending, never passed.
//! * A control that is not noticed is a finding of its own.
//!
//! # Errors
//!
//! [`LabError`] for a scenario that cannot be run. Broken invariants are results, not errors.
//!
//! # Feature flags
//!
//! `sabotage` lets controls break the engine. `cargo xtask stress` switches it on; no release should.
//!
//! # Where it sits
//!
//! Above everything, for a program of its own.
//!
//! # Stability
//!
//! Experimental. The minimum supported Rust version is 1.95.

pub mod cli;
pub mod coverage;
pub mod explore;
mod harness;
mod lab;
mod ledger;
pub mod peer;
mod registry;
mod report;
mod results;
mod scenario;
mod scenarios;

pub use harness::runtime::{Runtime, TimeMode};
pub use harness::seed::{ParseSeedError, Seed};
pub use harness::severity::{Breach, Severity};
pub use harness::stats;
pub use lab::{Lab, LabError, Trial};
pub use registry::Registry;
pub use results::{
    ControlResult, Exhibit, ExhibitKind, Gate, Metric, Op, RunPicture, Samples, Scaling,
    ScenarioResult, StagePicture, Verdict, Violation,
};
pub use scenario::{Control, RunFn, Scenario, Theme, Tier};
