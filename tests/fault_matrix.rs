//! What goes wrong, at each step on the way of a job: in every case, the same commands run again end in exactly one
//! batch for each part, all answers once, nothing half-written, and the right words on the way.
//!
//! A sample is run with all other tests. All of it, or the cases whose name contains a text:
//!
//! ```sh
//! GEMINI_BATCH_MATRIX=whole cargo test --test fault_matrix -- --nocapture
//! GEMINI_BATCH_MATRIX='create × killed' cargo test --test fault_matrix
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "fault_matrix/cell.rs"]
mod cell;
#[path = "fault_matrix/stage.rs"]
mod stage;
mod support;
#[path = "fault_matrix/trouble.rs"]
mod trouble;

use std::collections::BTreeSet;

use cell::Cell;
use stage::Stage;
use support::side_by_side::side_by_side;
use trouble::Trouble;

/// Where money is spent, in the middle of a job of several parts, in the middle of a large file, and until it is told.
const IN_EVERY_SAMPLE: [&str; 10] = [
    "create × killed before the API acts",
    "create × killed after the API acted",
    "create × killed, and then the API acts, 3 parts",
    "create × 429, nobody knows when, 3 parts",
    "look-up of a create × reply without a body",
    "look-up of a create × 503, 5 times",
    "look-up × 500, 5 times",
    "chunk × killed after the API acted",
    "look-up of a chunk × 504",
    "finalize × killed after the API acted, 3 parts",
];

#[test]
fn whatever_goes_wrong_ends_in_one_job_and_all_answers() {
    let asked = std::env::var("GEMINI_BATCH_MATRIX").unwrap_or_default();
    let cells = match asked.as_str() {
        "" => sample(),
        "whole" => every_cell(),
        text => every_cell().into_iter().filter(|cell| cell.to_string().contains(text)).collect(),
    };
    side_by_side(cells, Cell::run);
}

/// Every trouble at every stage where it can be.
fn every_cell() -> Vec<Cell> {
    let pairs = Stage::ALL.into_iter().flat_map(|stage| Trouble::all().map(move |trouble| (stage, trouble)));
    pairs
        .filter(|(stage, trouble)| trouble.can_be_at(*stage))
        .flat_map(|(stage, trouble)| Cell::of(stage, trouble))
        .collect()
}

/// Each stage and each trouble at least once, and the same ones every time.
fn sample() -> Vec<Cell> {
    let cells: Vec<_> = every_cell().into_iter().filter(|cell| !cell.trouble.is_slow).collect();
    let mut chosen = BTreeSet::new();
    for (n, trouble) in Trouble::all().enumerate() {
        // Along the diagonal.
        let wanted = Stage::ALL.into_iter().cycle().skip(n).take(Stage::ALL.len());
        let first = wanted.into_iter().find_map(|stage| {
            cells.iter().position(|cell| cell.stage == stage && cell.trouble.name == trouble.name && cell.is_plain())
        });
        chosen.extend(first);
    }
    for name in IN_EVERY_SAMPLE {
        chosen
            .insert(cells.iter().position(|cell| cell.to_string() == name).unwrap_or_else(|| panic!("no cell {name}")));
    }
    for stage in Stage::ALL {
        assert!(chosen.iter().any(|n| cells[*n].stage == stage), "{stage:?} is not in the sample");
    }
    chosen.into_iter().map(|n| cells[n].clone()).collect()
}
