use super::{ENTRIES_AT_MOST, ENTRY_BYTES, LARGEST_BODY, Memory};
use crate::entry::{FORMAT, Head};
use crate::epoch::Epoch;
use crate::key::{CacheKey, Tenant};
use crate::rules::{Limits, Text};
use crate::time::UnixMillis;
use crate::validation::Validators;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

const TILES: Text = Text::Borrowed("tiles");
const TRENDS: Text = Text::Borrowed("trends");
/// Room for a hundred bodies of [`BODY`] bytes, with some to spare.
const ROOM: usize = 150_000;
const BODY: usize = 960;

fn head(epoch: u64, requested_at: u64) -> Head {
    Head {
        format: FORMAT,
        status: 200,
        requested_at: UnixMillis(requested_at),
        received_at: UnixMillis(requested_at),
        initial_age: 0,
        lifetime: 300,
        period_end: None,
        epoch: Epoch(epoch),
        etag: String::new(),
        digest: String::new(),
        length: 0,
        headers: Vec::new(),
        marks: String::new(),
        stated: None,
        validators: Validators::default(),
        followed: None,
    }
}

fn key(name: &str) -> CacheKey {
    CacheKey::new(&Tenant::new("a.test").unwrap(), name, None)
}

fn numbered(number: usize) -> CacheKey {
    key(&format!("k{number:04}"))
}

fn put_as(memory: &mut Memory, key: &CacheKey, class: &Text, memory_percent: u32, length: usize) {
    let limits = Limits { largest_body: 256 * 1024, memory_percent, lease: false };
    memory.put(key, class, limits, Rc::new(head(1, 1)), vec![b'x'; length].into());
}

fn put(memory: &mut Memory, key: &CacheKey) {
    put_as(memory, key, &TILES, 100, BODY);
}

fn holds(memory: &Memory, key: &CacheKey) -> bool {
    memory.heads().any(|(held, _)| held == key)
}

#[test]
fn what_was_put_is_there_and_what_was_not_is_not() {
    let mut memory = Memory::new(ROOM);
    assert_eq!(memory.get(&key("a")), None);
    put(&mut memory, &key("a"));
    let (_, body) = memory.get(&key("a")).expect("it was put");
    assert_eq!(body.len(), BODY);
    assert_eq!(memory.get(&key("b")), None);
    memory.remove(&key("a"));
    memory.remove(&key("b"));
    assert_eq!((memory.get(&key("a")), memory.held().bytes, memory.held().entries), (None, 0, 0));
}

#[test]
fn one_that_may_hold_nothing_holds_nothing() {
    let mut memory = Memory::new(0);
    assert!(!memory.takes(0));
    put_as(&mut memory, &key("a"), &TILES, 100, 0);
    assert_eq!(memory.get(&key("a")), None);
}

#[test]
fn a_body_that_is_too_long_is_not_held_and_takes_the_place_of_an_earlier_one() {
    let mut memory = Memory::new(1024 * 1024);
    assert!(memory.takes(LARGEST_BODY) && !memory.takes(LARGEST_BODY + 1));
    put_as(&mut memory, &key("a"), &TILES, 100, LARGEST_BODY);
    assert!(memory.get(&key("a")).is_some());
    put_as(&mut memory, &key("a"), &TILES, 100, LARGEST_BODY + 1);
    assert_eq!(memory.get(&key("a")), None);
}

#[test]
fn an_earlier_fetch_does_not_take_the_place_of_a_later_one() {
    let limits = Limits { largest_body: 256 * 1024, memory_percent: 100, lease: false };
    for (epoch, requested_at, is_taken) in [(2, 5, true), (2, 6, true), (3, 1, true), (2, 4, false), (1, 9, false)] {
        let mut memory = Memory::new(ROOM);
        memory.put(&key("a"), &TILES, limits, Rc::new(head(2, 5)), [0].into());
        memory.put(&key("a"), &TILES, limits, Rc::new(head(epoch, requested_at)), [1].into());
        let (head, body) = memory.get(&key("a")).expect("one of them is there");
        assert_eq!((head.epoch == Epoch(epoch) && *body == [1]), is_taken, "{epoch} {requested_at}");
    }
}

#[test]
fn bytes_are_bounded_and_the_least_recently_used_goes_first() {
    let mut memory = Memory::new(ROOM);
    for number in 0..1000 {
        put(&mut memory, &numbered(number));
        let held = memory.held();
        assert!(held.bytes <= ROOM, "{held:?}");
        assert_eq!(held.entries as u64 + held.evictions, number as u64 + 1);
    }
    assert!(holds(&memory, &numbered(999)) && holds(&memory, &numbered(950)) && !holds(&memory, &numbered(850)));
    assert!(memory.held().bytes > ROOM - 2 * (BODY + ENTRY_BYTES), "{:?}", memory.held());
}

#[test]
fn entries_are_bounded() {
    let mut memory = Memory::new(64 * 1024 * 1024);
    for number in 0..ENTRIES_AT_MOST + 3 {
        put_as(&mut memory, &numbered(number), &TILES, 100, 0);
    }
    let held = memory.held();
    assert_eq!((held.entries, held.evictions), (ENTRIES_AT_MOST, 3));
}

#[test]
fn a_scan_pushes_out_nothing_that_is_used() {
    let mut memory = Memory::new(ROOM);
    for number in 0..50 {
        put(&mut memory, &numbered(number));
        _ = memory.get(&numbered(number));
    }
    for number in 1000..5000 {
        put(&mut memory, &numbered(number));
    }
    for number in 0..50 {
        assert!(memory.get(&numbered(number)).is_some(), "{number}");
    }
}

#[test]
fn what_is_protected_leaves_room_for_what_is_new() {
    let mut memory = Memory::new(ROOM);
    for number in 0..1000 {
        put(&mut memory, &numbered(number));
        _ = memory.get(&numbered(number));
    }
    // A fifth is on probation: of those that were used, the ones that were not used for the longest time.
    for number in 1000..1015 {
        put(&mut memory, &numbered(number));
    }
    assert!((1000..1015).all(|number| holds(&memory, &numbered(number))));
    assert!((930..1000).all(|number| holds(&memory, &numbered(number))));
}

#[test]
fn a_newer_answer_of_a_used_key_stays_protected() {
    let mut memory = Memory::new(ROOM);
    put(&mut memory, &key("a"));
    _ = memory.get(&key("a"));
    put(&mut memory, &key("a"));
    for number in 0..1000 {
        put(&mut memory, &numbered(number));
    }
    assert!(holds(&memory, &key("a")));
}

#[test]
fn a_class_holds_no_more_than_its_share_and_pushes_out_its_own() {
    let mut memory = Memory::new(ROOM);
    for number in 0..40 {
        put(&mut memory, &numbered(number));
    }
    for number in 1000..2000 {
        put_as(&mut memory, &numbered(number), &TRENDS, 25, BODY);
        _ = memory.get(&numbered(number));
    }
    assert!((0..40).all(|number| holds(&memory, &numbered(number))));
    let trends = (1000..2000).filter(|number| holds(&memory, &numbered(*number))).count();
    assert!((20..=25).contains(&trends), "{trends}");
    put_as(&mut memory, &key("a"), &TRENDS, 25, ROOM / 4);
    assert!(!holds(&memory, &key("a")), "it is larger than its class's share");
}

/// The bytes held are those of the entries, however they came and went.
#[test]
fn what_is_counted_is_what_is_there() {
    let mut memory = Memory::new(ROOM);
    let mut choice = 1_u32;
    for _ in 0..5000 {
        choice = choice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (number, length) = (choice as usize >> 8 & 0xFF, choice as usize >> 16 & 0xFFF);
        match choice >> 30 {
            0 => _ = memory.get(&numbered(number)),
            1 => memory.remove(&numbered(number)),
            2 => put_as(&mut memory, &numbered(number), &TILES, 100, length),
            _ => put_as(&mut memory, &numbered(number), &TRENDS, 50, length),
        }
        let bytes: usize = memory.entries.iter().map(|(_, entry)| entry.bytes).sum();
        let protected = memory.entries.iter().filter(|(_, entry)| entry.is_protected).map(|(_, entry)| entry.bytes);
        assert_eq!((memory.held().bytes, memory.protected_bytes), (bytes, protected.sum()));
        assert!(bytes <= ROOM && memory.bytes_of(&TRENDS) <= ROOM / 2 && memory.protected_bytes <= ROOM * 4 / 5);
    }
}
