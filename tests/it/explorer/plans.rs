//! What is explored.

use super::plan::{A, B, BESIDE, Budget, Fault, Key, Named, Plan, Task, get, hard, insist, soft};
use super::search::{explore, simplest};
use std::fmt::Write as _;
use std::time::Instant;

const OPS: Key = Key::Ops;

const fn budget(switches: u8, times: u8, faults: u8) -> Budget {
    Budget { switches, times, faults }
}

const PLANS: &[Plan] = &[
    Plan {
        name: "a hard purge overtakes a fill",
        before: &[],
        tasks: &[get(A, OPS), hard(A, Named::Route), get(A, OPS)],
        faults: &[Fault::PutLost, Fault::OldValue],
        spans: &[],
        budget: budget(3, 1, 1),
    },
];

#[test]
fn no_execution_breaks_a_promise() {
    let mut report = String::from("plan, states, executions, steps, depth, seconds\n");
    for plan in PLANS {
        let began = Instant::now();
        match explore(plan, plan.budget) {
            Ok(explored) => {
                _ = writeln!(report, "{}: {explored:?}, {:.1} s", plan.name, began.elapsed().as_secs_f64());
            }
            Err(first) => {
                let violation = simplest(plan).unwrap_or(first);
                let mut steps = String::new();
                for (index, line) in violation.log.iter().enumerate() {
                    _ = writeln!(steps, "{:3}. {line}", index + 1);
                }
                panic!("{report}violation in \"{}\": {}\n{steps}", plan.name, violation.sentence);
            }
        }
    }
    println!("{report}");
}
