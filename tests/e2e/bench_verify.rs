//! The benchmark of verification, in two short rounds: each mode answers hits, whatever they cost.

use lab::verify::Rounds;

#[test]
fn each_mode_has_its_row_and_the_keys_are_asked_for_once_by_each_workerd() {
    let report = Rounds { rounds: 2, hits: 20 }.run();
    println!("{report}");
    assert_eq!((report.to_string().lines().count(), report.keys_asked), (7, 2));
}
