//! Some seeds of the simulator; `cargo xtask sim` runs as many as you like.

use kafka_sim::simulation::run_seeds;

const SEEDS: u64 = 100;

#[test]
fn whatever_happens_what_must_hold_holds() {
    let findings = run_seeds(0..SEEDS, 2);
    if let Some(violation) = findings.violation {
        panic!("{violation}");
    }
}
