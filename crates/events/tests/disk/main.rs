//! What is kept on disk: the spill, the journal, and the form of other tools.

#![cfg(test)]

mod altered;
mod changes;
mod cloud_events;
mod erased;
mod journal;
mod journals;
mod killed;
mod records;
mod spill;
mod torn;
