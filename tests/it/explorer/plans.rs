//! What is explored: who does what, what may go wrong, and how often.

use super::plan::{A, B, BESIDE, Budget, Fault, Key, Kit, Named, Plan, Task, get, hard, insist, soft};
use super::search::{Explored, Violation, explore, simplest};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

const OPS: Key = Key::Ops;
const TRENDS: Key = Key::Trends;

/// A plan with its two budgets: switches, times, faults.
const fn plan(
    name: &'static str,
    before: &'static [Task],
    tasks: &'static [Task],
    [budget, long]: [(u8, u8, u8); 2],
) -> Plan {
    Plan { name, before, tasks, faults: &[], spans: &[], budget: Budget::new(budget), long: Budget::new(long) }
}

const PLANS: &[Plan] = &[
    Plan {
        faults: &[Fault::PutLost, Fault::OldValue],
        ..plan(
            "a hard purge overtakes a fill",
            &[],
            &[get(A, OPS), hard(A, Named::Route), get(A, OPS)],
            [(2, 0, 1), (2, 1, 1)],
        )
    },
    plan(
        "a fill, a follower and a purge",
        &[],
        &[get(A, OPS), get(A, OPS), hard(A, Named::Route), get(A, OPS)],
        [(2, 0, 0), (3, 0, 0)],
    ),
    Plan {
        faults: &[Fault::OriginFails],
        ..plan("a follower whose leader fails", &[], &[get(A, OPS), get(A, OPS), get(A, OPS)], [(1, 1, 1), (2, 1, 1)])
    },
    plan(
        "two keys and a purge of one",
        &[],
        &[get(A, TRENDS), get(A, OPS), hard(A, Named::Key), get(A, OPS)],
        [(2, 0, 0), (1, 1, 0)],
    ),
    Plan {
        faults: &[Fault::PutLost],
        ..plan(
            "a purge of a class elsewhere",
            &[get(A, OPS)],
            &[hard(B, Named::Class), get(BESIDE, OPS), get(BESIDE, OPS)],
            [(0, 2, 1), (1, 2, 1)],
        )
    },
    Plan {
        faults: &[Fault::PutLost],
        ..plan(
            "a purge beside a renewal of the counters",
            &[get(A, OPS), get(BESIDE, OPS)],
            &[get(A, OPS), hard(BESIDE, Named::Route), get(BESIDE, OPS)],
            [(2, 1, 0), (2, 2, 1)],
        )
    },
    plan(
        "a purge while a copy of the counters is on its way to the shelf",
        &[],
        &[get(A, OPS), hard(B, Named::Route), get(BESIDE, OPS)],
        [(1, 1, 0), (2, 2, 0)],
    ),
    plan(
        "hard purges that merge",
        &[],
        &[hard(A, Named::Route), get(B, OPS), hard(A, Named::Key), get(B, OPS)],
        [(0, 2, 0), (1, 2, 0)],
    ),
    plan(
        "soft purges that merge, and a token",
        &[get(B, OPS)],
        &[soft(A, Named::Route), soft(A, Named::Route), insist(B, OPS), get(B, OPS)],
        [(1, 1, 0), (2, 1, 0)],
    ),
    Plan {
        spans: &[9_000],
        ..plan(
            "soft purges one after the other",
            &[get(A, OPS)],
            &[soft(B, Named::Route), soft(B, Named::Route), get(A, OPS)],
            [(0, 2, 0), (0, 3, 0)],
        )
    },
    Plan {
        faults: &[Fault::OriginFails, Fault::OldValue],
        ..plan(
            "a soft purge, its renewal and a hard one",
            &[get(A, OPS)],
            &[soft(A, Named::Class), get(A, OPS), hard(B, Named::Route), get(A, OPS)],
            [(1, 1, 1), (2, 1, 1)],
        )
    },
    Plan {
        faults: &[Fault::OriginFails, Fault::PutLost],
        ..plan(
            "a soft purge whose window ends",
            &[get(A, OPS), get(B, OPS)],
            &[soft(A, Named::Route), get(B, OPS), get(B, OPS)],
            [(0, 2, 1), (1, 2, 1)],
        )
    },
    Plan {
        spans: &[600],
        ..plan(
            "a soft purge, its window over, and an origin that is slow",
            &[get(A, OPS)],
            &[soft(A, Named::Route), get(A, OPS), get(A, OPS)],
            [(1, 2, 0), (2, 2, 0)],
        )
    },
    Plan {
        faults: &[Fault::LedgerFails, Fault::AnswerLost],
        ..plan(
            "a purge of everything, and the ledger out of reach",
            &[get(A, OPS), get(A, TRENDS)],
            &[hard(B, Named::All), get(A, OPS), get(A, TRENDS)],
            [(0, 2, 2), (1, 2, 2)],
        )
    },
    Plan {
        faults: &[Fault::AnswerLost],
        ..plan(
            "a purge whose answer is lost, and its repetition",
            &[get(A, OPS)],
            &[hard(B, Named::Route), hard(A, Named::Route), get(A, OPS)],
            [(1, 1, 1), (2, 2, 1)],
        )
    },
    Plan {
        faults: &[Fault::Eviction, Fault::OldValue, Fault::PutLost],
        ..plan(
            "an eviction, and values of KV that are old",
            &[get(A, OPS)],
            &[hard(A, Named::Route), get(B, OPS), get(A, OPS)],
            [(0, 1, 1), (0, 1, 2)],
        )
    },
    Plan {
        faults: &[Fault::Restart, Fault::LedgerLost],
        ..plan(
            "a ledger that restarts, with its disk or without",
            &[get(A, OPS)],
            &[hard(A, Named::Route), get(A, OPS), hard(A, Named::Route), get(A, OPS)],
            [(0, 1, 1), (1, 1, 1)],
        )
    },
    Plan {
        faults: &[Fault::LedgerLost],
        ..plan(
            "a ledger that loses its disk when it was ahead of the clock",
            &[get(A, OPS)],
            &[hard(A, Named::Route), hard(A, Named::Route), insist(A, OPS), hard(A, Named::Route), get(A, OPS)],
            [(0, 0, 1), (1, 0, 1)],
        )
    },
    Plan {
        spans: &[150_000],
        ..plan(
            "a lifetime that ends",
            &[get(A, OPS)],
            &[soft(B, Named::All), get(B, OPS), get(A, OPS)],
            [(0, 2, 0), (0, 3, 0)],
        )
    },
];

fn shown(plan: &Plan, violation: &Violation) -> String {
    let mut text = format!("violation: {}: {}\n", plan.name, violation.sentence);
    for (index, line) in violation.log.iter().enumerate() {
        _ = writeln!(text, "{:4}. {line}", index + 1);
    }
    text
}

/// Explores all plans: whatever the isolates have, no promise is broken, and all of these answers were there to be judged.
fn keeps_its_promises(kit: Kit, labels: &[&str]) {
    let long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    let (mut all, began) = (Explored::default(), Instant::now());
    for plan in PLANS {
        let budget = match (long, kit) {
            (true, _) => plan.long,
            (false, Kit::Stores) => plan.budget,
            (false, Kit::Everything) => Budget { switches: plan.budget.switches.min(1), ..plan.budget },
        };
        match explore(plan, kit, budget) {
            Ok(explored) => {
                println!("{}: {budget}: {explored}", plan.name);
                all = all.and(explored);
            }
            Err(first) => panic!("\n{}", shown(plan, &simplest(plan, kit, budget).unwrap_or(first))),
        }
    }
    for label in labels {
        assert!(all.labels.contains(*label), "nothing was answered `{label}`: {:?}", all.labels);
    }
    // Past the capture of what passing tests print: how much was explored is worth a line in every run.
    let line = format!("explorer: {} plans: {all}, {:.1} s\n", PLANS.len(), began.elapsed().as_secs_f64());
    std::io::stdout().write_all(line.as_bytes()).expect("standard output is open");
}

#[test]
fn no_execution_breaks_a_promise() {
    let labels = [
        "stored",
        "collapsed",
        "detail=purged",
        "detail=edge",
        "detail=kv",
        "detail=edge/invalidated",
        "detail=edge/ledger",
        "detail=stale-if-error",
        "detail=origin-unreachable",
        "detail=ledger",
    ];
    keeps_its_promises(Kit::Stores, &labels);
}

#[test]
fn nor_with_a_memory_tier_and_leases() {
    let labels =
        ["stored", "collapsed", "detail=purged", "detail=memory", "detail=memory/invalidated", "detail=memory/ledger"];
    keeps_its_promises(Kit::Everything, &labels);
}
