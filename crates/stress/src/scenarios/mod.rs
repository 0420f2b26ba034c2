//! The built-in scenarios, a file each.

mod a01_one_effect;
mod a01_one_key;
mod a02_undeclared;
mod a03_round_trip;
mod a04_tamper;
mod a05_growth;
mod a06_bad_builds;
mod a07_programs;
mod a07_random_dags;
mod a08_routes;
mod a09_permits;
mod a10_starvation;
mod a11_scaling;
mod a12_grammar;
mod a13_sinks;
mod a14_canaries;
mod a15_labels;
mod a16_merge;
mod a17_order;
mod a18_slow_layers;
mod a19_limits_in_data;
mod a20_shared_layers;
mod a21_partial;
mod a22_cleanups;
mod a23_stampede;
mod a25_no_validator;
mod c1_baseline;
mod c2_writes;
mod c3_immutability;
mod c4_isolation;
mod d1_snapshots;
mod d2_cycles;
mod d3_overflow;
mod d4_cancel;
mod d5_controls;
mod e1_exploration;
mod fri_erasure;
mod fri_neighbours;
mod fri_quotas;
mod fri_roles;
mod fri_tokens;
mod m1_correlated;
mod m1_failures;
mod m2_jitter;
mod m3_skew;
mod m4_exhaustion;
mod pending;
mod t1_flood;
mod t1_overflow;
mod t1_policies;
mod t2_correlation;
mod t2_nested;
mod t2_sampling;
mod t2_spans;
mod t3_cancel;
mod t4_stores;
mod t4_tenants;
mod thu_export;
mod thu_genai;
mod thu_journal;
mod tue_loops;
mod tue_maps;
mod tue_spawn;
mod wed_gates;
mod wed_table;
mod wed_undo;

pub(crate) use m4_exhaustion::child_if_asked as m4_child_if_asked;

use crate::Scenario;

/// All of them, those that cannot be run yet last.
pub(crate) fn all() -> Vec<Scenario> {
    let ready = [
        c1_baseline::scenario(),
        c2_writes::scenario(),
        c3_immutability::scenario(),
        c4_isolation::scenario(),
        t1_flood::scenario(),
        t1_flood::million(),
        t1_flood::drill(),
        t1_flood::soak(),
        t1_overflow::scenario(),
        t1_policies::scenario(),
        t2_correlation::scenario(),
        t2_spans::scenario(),
        t2_nested::scenario(),
        t2_sampling::scenario(),
        t3_cancel::scenario(),
        t4_tenants::scenario(),
        t4_stores::scenario(),
        t4_stores::crowd(),
        d1_snapshots::scenario(),
        d2_cycles::scenario(),
        d3_overflow::scenario(),
        d4_cancel::scenario(),
        d5_controls::scenario(),
        a01_one_key::scenario(),
        a01_one_effect::scenario(),
        a02_undeclared::scenario(),
        a03_round_trip::scenario(),
        a04_tamper::scenario(),
        a05_growth::scenario(),
        a06_bad_builds::scenario(),
        a07_programs::scenario(),
        a07_random_dags::scenario(),
        a08_routes::scenario(),
        a09_permits::scenario(),
        a10_starvation::scenario(),
        a11_scaling::scenario(),
        a12_grammar::scenario(),
        a13_sinks::scenario(),
        a16_merge::scenario(),
        a14_canaries::scenario(),
        a15_labels::scenario(),
        a17_order::scenario(),
        a18_slow_layers::scenario(),
        a19_limits_in_data::scenario(),
        a20_shared_layers::scenario(),
        a21_partial::scenario(),
        a22_cleanups::scenario(),
        a23_stampede::scenario(),
        a25_no_validator::scenario(),
        fri_tokens::scenario(),
        tue_spawn::scenario(),
        m1_failures::scenario(),
        m1_correlated::scenario(),
        m2_jitter::scenario(),
        m3_skew::scenario(),
        m4_exhaustion::scenario(),
        e1_exploration::scenario(),
        fri_quotas::scenario(),
        fri_neighbours::scenario(),
        fri_roles::scenario(),
        fri_erasure::scenario(),
        thu_journal::scenario(),
        thu_export::scenario(),
        thu_genai::scenario(),
        tue_loops::scenario(),
        tue_maps::scenario(),
        wed_gates::scenario(),
        wed_table::scenario(),
        wed_undo::scenario(),
    ];
    ready.into_iter().chain(pending::scenarios()).collect()
}
