//! What a class may take of the origin and of the tiers.

use super::{changed, check};
use hotrod_edge::rules::{Demand, Disposition, Limits, Rules, load};

fn rules(from: &str, to: &str) -> Rules {
    load("rules.toml", &changed(from, to)).expect("nothing is wrong with it")
}

#[test]
fn a_class_that_says_nothing_has_room_enough() {
    let rules = rules("max_age = 60", "max_age = 60");
    let stored = Demand { value: 50, first_byte_timeout: 10, between_bytes_timeout: 10, total_timeout: 25 };
    assert_eq!(rules.demand("near"), stored);
    assert_eq!(rules.demand("live"), Demand { first_byte_timeout: 60, ..stored });
    assert!(rules.demand("no class").value < stored.value);
}

#[test]
fn what_it_says_counts() {
    let more = "max_age = 60\nvalue = 80\nfirst_byte_timeout = 2\nbetween_bytes_timeout = 3\ntotal_timeout = 4\n\
                largest_body = 1000\nmemory_percent = 40\nlease = true";
    let rules = rules("max_age = 60", more);
    let demand = Demand { value: 80, first_byte_timeout: 2, between_bytes_timeout: 3, total_timeout: 4 };
    assert_eq!(rules.demand("near"), demand);
    let Some(Disposition::Store(stored)) = rules.route("ops").map(|route| route.disposition.clone()) else {
        panic!("it is stored");
    };
    assert_eq!(stored.limits, Limits { largest_body: 1000, memory_percent: 40, lease: true });
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (wrong, sentence) in [
        ("value = 0", "value = 0 is not between 1 and 100"),
        ("total_timeout = 31", "total_timeout = 31 is not between 1 and 30"),
        ("between_bytes_timeout = 0", "between_bytes_timeout = 0 is not between 1 and 30"),
        ("largest_body = 1048577", "largest_body = 1048577 is not between 1 and 1048576"),
        ("memory_percent = 101", "memory_percent = 101 is not between 1 and 100"),
    ] {
        let expected = format!("rules.toml:7: class `near`: {sentence}");
        check("max_age = 60", &format!("max_age = 60\n{wrong}"), &[&expected]);
    }
    let never =
        "rules.toml:4: class `near`: first_byte_timeout = 9 is over total_timeout = 8: it would never come to that";
    check("max_age = 60", "max_age = 60\nfirst_byte_timeout = 9\ntotal_timeout = 8", &[never]);
    let unstored = "`largest_body` on a class that is never stored: leave it out, or say policy = \"store\"";
    check(
        "policy = \"live\"",
        "policy = \"live\"\nvalue = 90\nfirst_byte_timeout = 300\nlargest_body = 1",
        &[&format!("rules.toml:16: class `live`: {unstored}")],
    );
}
