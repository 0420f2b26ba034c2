//! Resources: what was acquired and what was released, by id.
