use super::*;
use crate::key::Tenant;
use alloc::string::ToString as _;

const AT_MOST: u32 = 16;

fn at(millis: u64) -> UnixMillis {
    UnixMillis(1_000_000 + millis)
}

fn wanting(value: u32, is_surge: bool) -> Wanting {
    let demand = Demand { value, first_byte_timeout: 10, between_bytes_timeout: 5, total_timeout: 25 };
    Wanting::new(Lane::Fill, Text::Owned(value.to_string()), demand, is_surge, AT_MOST)
}

fn told(upstream: &mut Upstream, value: u32, millis: u64) -> Told {
    upstream.ask(&mut wanting(value, false), at(millis))
}

#[track_caller]
fn pass(told: Told) -> Pass {
    match told {
        Told::Go(pass) => pass,
        other => panic!("told {other:?}"),
    }
}

/// Takes slots until there is none.
fn fill_up(upstream: &mut Upstream, millis: u64) -> Vec<Pass> {
    let mut passes = Vec::new();
    while let Told::Go(pass) = told(upstream, 1, millis) {
        passes.push(pass);
    }
    upstream.waiting.clear();
    passes
}

fn end(upstream: &mut Upstream, pass: Pass, ending: Ending, millis: u64) {
    _ = upstream.ended(pass, ending, AT_MOST, at(millis));
}

#[test]
fn so_many_questions_are_under_way_and_no_more() {
    let mut upstream = Upstream::new();
    let mut passes = fill_up(&mut upstream, 0);
    assert_eq!(passes.len(), 16);
    let mut waits = wanting(50, false);
    assert_eq!(upstream.ask(&mut waits, at(0)), Told::Wait);
    let ended = passes.pop().expect("one of them");
    end(&mut upstream, ended, Ending::Answered, 0);
    _ = pass(upstream.ask(&mut waits, at(25)));
    assert_eq!(told(&mut upstream, 50, 25), Told::Wait);
}

#[test]
fn a_slot_whose_holder_never_comes_back_is_free_again_after_its_time() {
    let mut upstream = Upstream::new();
    _ = fill_up(&mut upstream, 0);
    assert_eq!(told(&mut upstream, 1, 24_999), Told::Wait);
    assert_eq!(fill_up(&mut upstream, 26_000).len(), 16);
}

#[test]
fn the_class_of_greater_value_goes_first_and_then_who_has_waited_longest() {
    let mut upstream = Upstream::new();
    let mut passes = fill_up(&mut upstream, 0);
    let (mut low, mut high, mut late) = (wanting(10, false), wanting(80, false), wanting(80, false));
    assert_eq!(upstream.ask(&mut low, at(0)), Told::Wait);
    assert_eq!(upstream.ask(&mut high, at(1)), Told::Wait);
    assert_eq!(upstream.ask(&mut late, at(2)), Told::Wait);
    for freed in 0..3 {
        let ended = passes.pop().expect("one of them");
        end(&mut upstream, ended, Ending::Answered, 3);
        let (low, late, high) =
            (upstream.ask(&mut low, at(4)), upstream.ask(&mut late, at(4)), upstream.ask(&mut high, at(4)));
        match freed {
            0 => assert!(matches!((low, late, high), (Told::Wait, Told::Wait, Told::Go(_)))),
            1 => {
                assert!(matches!((&low, &late), (Told::Wait, Told::Go(_))));
                assert!(matches!(high, Told::Wait), "it asks anew, behind");
            }
            _ => assert!(matches!((low, late), (Told::Wait, Told::Wait)), "the one that asks anew is worth more"),
        }
    }
}

#[test]
fn who_waits_and_is_gone_is_in_nobodys_way() {
    let mut upstream = Upstream::new();
    let mut passes = fill_up(&mut upstream, 0);
    let (mut gone, mut gives_up) = (wanting(80, false), wanting(80, false));
    assert_eq!(upstream.ask(&mut gone, at(0)), Told::Wait);
    assert_eq!(upstream.ask(&mut gives_up, at(0)), Told::Wait);
    upstream.give_up(&gives_up);
    let ended = passes.pop().expect("one of them");
    end(&mut upstream, ended, Ending::Answered, 0);
    assert_eq!(told(&mut upstream, 9, 999), Told::Wait);
    let mut waits = wanting(10, false);
    _ = pass(upstream.ask(&mut waits, at(1_000)));
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let mut upstream = Upstream::new();
    _ = fill_up(&mut upstream, 0);
    for _ in 0..WAITING_AT_MOST {
        assert_eq!(told(&mut upstream, 1, 0), Told::Wait);
    }
    assert_eq!(told(&mut upstream, 100, 0), Told::Full);
}

#[test]
fn trouble_halves_the_slots_once_for_all_under_way_and_each_answer_gives_a_part_of_one_back() {
    let overload = Ending::Error { retry_after: None, is_overload: true };
    for trouble in [overload, Ending::Nothing] {
        let mut upstream = Upstream::new();
        let passes = fill_up(&mut upstream, 0);
        for pass in passes.into_iter().take(4) {
            end(&mut upstream, pass, trouble, 0);
        }
        upstream.slots.clear();
        upstream.slots.clear();
        let one = pass(told(&mut upstream, 2, 0));
        assert_eq!(fill_up(&mut upstream, 0).len(), 7, "once, for all that were under way");
        end(&mut upstream, one, trouble, 1_000);
        upstream.slots.clear();
        let mut passes = fill_up(&mut upstream, 1_000);
        assert_eq!(passes.len(), 4);
        for _ in 0..5 {
            let ended = passes.pop().expect("one of them");
            end(&mut upstream, ended, Ending::Answered, 1_000);
            passes.push(pass(told(&mut upstream, 1, 1_000)));
        }
        upstream.slots.clear();
        assert_eq!(fill_up(&mut upstream, 1_000).len(), 5);
    }
}

#[test]
fn what_was_never_taken_says_nothing_of_what_the_origin_can_take() {
    let mut upstream = Upstream::new();
    let mut few: Vec<_> = (0..4).map(|_| pass(told(&mut upstream, 1, 0))).collect();
    let one = few.pop().expect("one of them");
    end(&mut upstream, one, Ending::Error { retry_after: None, is_overload: true }, 0);
    upstream.slots.clear();
    assert_eq!(fill_up(&mut upstream, 0).len(), 2);
}

#[test]
fn what_is_passed_on_leaves_a_quarter_of_the_slots_to_what_is_stored() {
    let mut upstream = Upstream::new();
    let forward =
        |upstream: &mut Upstream| upstream.ask(&mut Wanting { lane: Lane::Forward, ..wanting(100, false) }, at(0));
    for _ in 0..12 {
        _ = pass(forward(&mut upstream));
    }
    assert_eq!(forward(&mut upstream), Told::Wait);
    upstream.waiting.clear();
    assert_eq!(fill_up(&mut upstream, 0).len(), 4);
}

#[test]
fn an_origin_that_answers_some_and_has_too_much_to_do_is_asked_less_and_not_left_alone() {
    let overload = Ending::Error { retry_after: None, is_overload: true };
    let mut upstream = Upstream::new();
    for _ in 0..10 {
        let good = pass(told(&mut upstream, 2, 0));
        end(&mut upstream, good, Ending::Answered, 0);
        let refused = pass(told(&mut upstream, 1, 0));
        end(&mut upstream, refused, overload, 999);
    }
    _ = pass(told(&mut upstream, 1, 999));
    upstream.slots.clear();
    for _ in 0..5 {
        let refused = pass(told(&mut upstream, 1, 1_000));
        end(&mut upstream, refused, overload, 1_000);
        upstream.slots.clear();
    }
    assert!(matches!(told(&mut upstream, 1, 1_000), Told::Open(_)), "nobody was answered for a second");
}

#[test]
fn what_is_passed_on_and_refused_makes_the_slots_fewer_and_opens_nothing() {
    let mut upstream = Upstream::new();
    let mut taken = fill_up(&mut upstream, 0);
    for _ in 0..8 {
        let one = taken.pop().expect("one of them");
        end(&mut upstream, one, Ending::Passed { is_overload: true }, 0);
    }
    upstream.slots.clear();
    assert_eq!(fill_up(&mut upstream, 0).len(), 8);
}

#[test]
fn some_slots_are_always_left() {
    for (ending, left) in [(Ending::Nothing, 4), (Ending::Error { retry_after: None, is_overload: true }, 1)] {
        let mut upstream = Upstream::new();
        for second in 0..20 {
            let told = upstream.ask(&mut wanting(second, false), at(u64::from(second) * 1_000));
            end(&mut upstream, pass(told), ending, u64::from(second) * 1_000);
        }
        assert_eq!(fill_up(&mut upstream, 60_000).len(), left);
    }
}

#[test]
fn an_error_that_is_no_overload_leaves_the_slots_as_they_are() {
    let mut upstream = Upstream::new();
    let one = pass(told(&mut upstream, 2, 0));
    end(&mut upstream, one, Ending::Error { retry_after: None, is_overload: false }, 0);
    assert_eq!(fill_up(&mut upstream, 0).len(), 16);
}

#[test]
fn what_a_purge_makes_go_to_the_origin_takes_a_part_of_the_slots() {
    let mut upstream = Upstream::new();
    let mut passes: Vec<_> = (0..8).map(|_| pass(upstream.ask(&mut wanting(90, true), at(0)))).collect();
    let mut surges = wanting(90, true);
    assert_eq!(upstream.ask(&mut surges, at(0)), Told::Wait);
    let other = pass(told(&mut upstream, 1, 0));
    end(&mut upstream, other, Ending::Answered, 0);
    let ended = passes.pop().expect("one of them");
    end(&mut upstream, ended, Ending::Answered, 0);
    assert_eq!(upstream.ask(&mut wanting(90, true), at(0)), Told::Wait, "the first one is before it");
    _ = pass(upstream.ask(&mut surges, at(0)));
}

#[test]
fn a_class_that_fails_is_left_alone_and_the_others_are_not() {
    let mut upstream = Upstream::new();
    for _ in 0..5 {
        let one = pass(told(&mut upstream, 10, 0));
        end(&mut upstream, one, Ending::Error { retry_after: None, is_overload: false }, 0);
    }
    assert_eq!(told(&mut upstream, 10, 400), Told::Open(600));
    _ = pass(told(&mut upstream, 11, 400));
    let mut forward = Wanting { lane: Lane::Forward, ..wanting(10, false) };
    _ = pass(upstream.ask(&mut forward, at(400)));
}

#[test]
fn no_slot_is_lost_to_an_open_breaker_and_no_probe_to_a_lack_of_slots() {
    let mut upstream = Upstream::new();
    let one = pass(told(&mut upstream, 10, 0));
    end(&mut upstream, one, Ending::Error { retry_after: Some(2_000), is_overload: false }, 0);
    assert_eq!(told(&mut upstream, 10, 0), Told::Open(2_000));
    let mut passes = fill_up(&mut upstream, 0);
    assert_eq!(passes.len(), 16);
    assert_eq!(told(&mut upstream, 10, 2_000), Told::Wait);
    let ended = passes.pop().expect("one of them");
    end(&mut upstream, ended, Ending::Answered, 2_000);
    upstream.waiting.clear();
    _ = pass(told(&mut upstream, 10, 2_000));
}

#[test]
fn a_second_try_is_earned_by_ten_first_ones_and_ten_are_saved_up() {
    let mut upstream = Upstream::new();
    let first = |upstream: &mut Upstream| {
        let one = pass(told(upstream, 1, 0));
        end(upstream, one, Ending::Answered, 0);
    };
    for _ in 0..9 {
        first(&mut upstream);
        assert!(!upstream.may_retry());
    }
    first(&mut upstream);
    assert!(upstream.may_retry());
    assert!(!upstream.may_retry());
    for _ in 0..300 {
        first(&mut upstream);
    }
    assert_eq!((0..20).filter(|_| upstream.may_retry()).count(), 10);
}

#[test]
fn what_is_not_for_the_store_is_remembered_for_a_moment_and_not_without_bounds() {
    let tenant = Tenant::new("shop.test").expect("a tenant");
    let key = |number: usize| CacheKey::new(&tenant, &number.to_string(), None);
    let mut upstream = Upstream::new();
    for number in 0..=UNSTORABLE_AT_MOST {
        upstream.note(&key(number), true, at(0));
    }
    assert_eq!(upstream.unstorable.len(), UNSTORABLE_AT_MOST);
    assert!(upstream.is_unstorable(&key(0), at(9_999)));
    assert!(!upstream.is_unstorable(&key(0), at(10_000)));
    upstream.note(&key(UNSTORABLE_AT_MOST), true, at(10_000));
    assert!(upstream.is_unstorable(&key(UNSTORABLE_AT_MOST), at(10_000)), "what is over makes room");
    upstream.note(&key(1), true, at(10_000));
    upstream.note(&key(1), false, at(10_000));
    assert!(!upstream.is_unstorable(&key(1), at(10_000)));
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let now = UnixMillis(784_111_777_000);
    assert_eq!(retry_after(" 120 ", now), Some(120_000));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(10_000));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:40:00 GMT", now), Some(0));
    assert_eq!(retry_after("99999999999999999999999", now), Some(u64::MAX));
    for wrong in ["", "-1", "1.5", "soon"] {
        assert_eq!(retry_after(wrong, now), None, "{wrong}");
    }
}
