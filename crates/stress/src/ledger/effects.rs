//! Side effects, with the run, stage and attempt that did them.
