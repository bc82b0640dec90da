//! The storm benchmark, for some seconds and in one location: what it promises does not depend on how fast it runs.

use lab::storm::Plan;

#[test]
fn in_a_short_storm_every_event_has_a_receipt_and_every_receipt_is_kept() {
    let report = Plan::QUICK.run();
    println!("{report}");
    assert_eq!(report.broken, Vec::<String>::new());
    assert_eq!((report.events, report.receipts), (Plan::QUICK.events, Plan::QUICK.events));
    assert_eq!((report.requests, report.failed), (200, 0));
    assert!(report.bound > 0 && report.increments <= 12, "{report}");
    assert!(report.hit_rate() > 0.5 && !report.invalidated.is_empty(), "{report}");
}
