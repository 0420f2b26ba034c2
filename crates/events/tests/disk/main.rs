//! What is kept on disk: the spill, the journal, and the form of other tools.

#![cfg(test)]

mod altered;
mod cloud_events;
mod journal;
mod journals;
mod records;
mod spill;
