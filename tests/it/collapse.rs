//! One miss, one fetch: requests of one isolate that want the same share a question to the origin, if its answer will
//! have seen all that their own would have.

use crate::client::{Open, ask, get};
use crate::fakes::{Asking, Location, OriginFault, Point, Scripted, World};
use hotrod_edge::ports::Ports;
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const SEGMENTS: &str = "/api/dashboard/segments";

/// A request that is held while the origin makes its answer.
fn held(location: &Rc<Location>, url: &str) -> Open {
    location.world.hold(Point::OriginAnswer);
    let mut open = Open::new(location, Asking::get(url));
    assert!(!open.run() && location.world.holds(Point::OriginAnswer));
    open
}

/// Lets a request come to its end: the answer's serial, and what it says of the cache.
#[track_caller]
fn end(open: &mut Open) -> (Option<u64>, String) {
    assert!(open.run(), "nothing holds it any more");
    let seen = open.answer().expect("an answer comes first");
    assert_eq!(seen.status, 200);
    (seen.serial(), seen.cache_status().to_string())
}

#[test]
fn requests_for_the_same_share_one_fetch_and_store_it_once() {
    let world = World::new();
    let location = Location::new(&world);
    let mut leader = held(&location, OPS);
    let mut followers: Vec<Open> = (0..5).map(|_| Open::new(&location, Asking::get(OPS))).collect();
    for follower in &mut followers {
        assert!(!follower.run());
        assert_eq!(follower.answer(), None);
    }
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut leader), (Some(1), "fwd=uri-miss; fwd-status=200; stored".to_string()));
    for follower in &mut followers {
        assert_eq!(end(follower), (Some(1), "fwd=uri-miss; fwd-status=200; collapsed".to_string()));
    }
    assert_eq!(world.origin.count(), 1);
    assert_eq!(get(&location, OPS).cache_status(), "hit; ttl=300; detail=edge");
    assert!(Ports::flights(&*location).under_way_now().is_empty());
}

#[test]
fn other_keys_isolates_and_tenants_ask_for_themselves() {
    let world = World::new();
    let location = Location::new(&world);
    let _leader = held(&location, "/api/dashboard/trends/revenue?days=30");
    let others = [Location::beside(&location), Location::new(&world), Location::of_tenant(&world, "other.test")];
    for (serial, other) in (2..).zip(&others) {
        assert_eq!(get(other, "/api/dashboard/trends/revenue?days=30").serial(), Some(serial));
        other.edge.clear();
    }
    assert_eq!(get(&location, "/api/dashboard/trends/revenue?days=90").serial(), Some(5));
}

/// A fill from before a purge is not joined by whoever knows of the purge.
#[test]
fn a_fetch_of_an_older_position_is_not_joined() {
    for mode in ["soft", "hard"] {
        let world = World::new();
        let location = Location::new(&world);
        let mut older = held(&location, SEGMENTS);
        world.pass(10);
        let purge = format!(r#"{{"mode":"{mode}","routes":["segments"]}}"#);
        assert_eq!(ask(&location, Asking::purge(purge)).status, 202);
        assert_eq!(get(&location, SEGMENTS).serial(), Some(2), "{mode}");
        world.release(Point::OriginAnswer);
        assert_eq!(end(&mut older).0, Some(1));
        assert_eq!((get(&location, SEGMENTS).serial(), world.origin.count()), (Some(2), 2), "{mode}");
    }
}

/// One that knows of more is joined: what it brings has seen all that the follower would ask for.
#[test]
fn a_fetch_of_a_later_position_is_joined() {
    let world = World::new();
    let location = Location::new(&world);
    world.hold(Point::LedgerAnswer);
    let mut slow = Open::new(&location, Asking::get(SEGMENTS));
    assert!(!slow.run());
    world.pass(10);
    assert_eq!(ask(&location, Asking::purge(r#"{"mode":"hard","all":true}"#)).status, 202);
    let mut later = held(&location, SEGMENTS);
    world.release(Point::LedgerAnswer);
    assert!(!slow.run());
    world.release(Point::OriginAnswer);
    assert_eq!(
        (end(&mut later).0, end(&mut slow)),
        (Some(1), (Some(1), "fwd=uri-miss; fwd-status=200; collapsed".into()))
    );
    assert_eq!(world.origin.count(), 1);
}

#[test]
fn whoever_waits_for_an_answer_that_is_not_stored_asks_for_itself() {
    let world = World::new();
    let location = Location::new(&world);
    let lines = vec![("cache-control".to_string(), "no-store".to_string())];
    world.origin.scripted.replace(Some(Scripted { status: 200, lines, body: None }));
    let mut leader = held(&location, OPS);
    let mut followers = [Open::new(&location, Asking::get(OPS)), Open::new(&location, Asking::get(OPS))];
    assert!(followers.iter_mut().all(|follower| !follower.run()));
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut leader), (Some(1), "fwd=uri-miss; fwd-status=200; detail=no-store".to_string()));
    for (serial, follower) in (2..).zip(&mut followers) {
        assert_eq!(end(follower), (Some(serial), "fwd=uri-miss; fwd-status=200; detail=no-store".to_string()));
    }
}

#[test]
fn whoever_waits_for_an_origin_that_then_fails_asks_for_itself() {
    let world = World::new();
    let location = Location::new(&world);
    world.origin.fault.set(OriginFault::Fails);
    let mut leader = held(&location, OPS);
    let mut follower = Open::new(&location, Asking::get(OPS));
    assert!(!follower.run());
    world.origin.fault.set(OriginFault::None);
    world.release(Point::OriginAnswer);
    assert!(leader.run());
    assert_eq!(leader.answer().map(|seen| seen.status), Some(502));
    assert_eq!(end(&mut follower), (Some(2), "fwd=uri-miss; fwd-status=200; stored".to_string()));
}

/// An origin that takes its time is not asked by a whole crowd: after three seconds by one more, and so on.
#[test]
fn while_an_origin_is_slow_one_more_asks_every_three_seconds_and_the_first_answer_is_everybodys() {
    let world = World::new();
    let location = Location::new(&world);
    let mut leader = held(&location, OPS);
    let mut followers: Vec<_> = (0..20).map(|_| Open::new(&location, Asking::get(OPS))).collect();
    for (passed, asked) in [(0, 1), (2_999, 1), (1, 2), (2_999, 2), (1, 3)] {
        world.hold(Point::OriginAnswer);
        world.pass(passed);
        assert!(followers.iter_mut().all(|follower| !follower.run()));
        assert_eq!(world.origin.count(), asked);
    }
    // The fakes number answers by their questions; all three are held, and the first to be asked for lands.
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut leader), (Some(1), "fwd=uri-miss; fwd-status=200; stored".to_string()));
    let ends: Vec<_> = followers.iter_mut().map(end).collect();
    let collapsed = (Some(1), "fwd=uri-miss; fwd-status=200; collapsed".to_string());
    assert_eq!(ends.iter().filter(|other| **other == collapsed).count(), 18, "{ends:?}");
    assert_eq!(world.origin.count(), 3);
    assert!(Ports::flights(&*location).under_way_now().is_empty());
}

/// Thirteen seconds: the first byte's ten, and the lead's three.
#[test]
fn nobody_follows_for_ever_and_what_is_asked_for_then_is_not_stored() {
    let world = World::new();
    let location = Location::new(&world);
    let _leader = held(&location, OPS);
    let mut followers: Vec<_> = (0..6).map(|_| Open::new(&location, Asking::get(OPS))).collect();
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    let mut run = || {
        followers.retain_mut(|follower| {
            let has_ended = follower.run();
            said.extend(follower.answer().filter(|_| has_ended).map(|seen| seen.cache_status().to_string()));
            !has_ended
        });
        world.origin.count()
    };
    for _ in 0..=130 {
        world.hold(Point::OriginAnswer);
        asked.push(run());
        world.pass(100);
    }
    assert_eq!((asked[29], asked[30], asked[60], asked[90], asked[120], asked[130]), (1, 2, 3, 4, 5, 5));
    // One question has timed out, so the origin is asked less at once, and these two wait for their turn.
    world.release(Point::OriginAnswer);
    run();
    world.pass(25);
    assert_eq!(run(), 7);
    world.release(Point::OriginAnswer);
    run();
    assert_eq!(said.iter().filter(|said| said.ends_with("detail=leased")).count(), 2, "{said:?}");
}

/// Whoever has waited for its own question in vain looks once more: another one has asked since, and was answered.
#[test]
fn a_leader_whose_question_hangs_has_the_answer_of_the_one_who_took_over() {
    let world = World::new();
    let location = Location::new(&world);
    world.origin.faults.borrow_mut().push_back(OriginFault::Hangs);
    let mut leader = Open::new(&location, Asking::get(OPS));
    assert!(!leader.run());
    world.pass(3_000);
    assert_eq!(get(&location, OPS).cache_status(), "fwd=uri-miss; fwd-status=200; stored");
    assert!(!leader.run());
    world.pass(7_000);
    assert_eq!(end(&mut leader), (Some(2), "hit; ttl=293; detail=edge".to_string()));
}

/// An origin that says 500 is asked by one after the other, until its breaker opens. Then all are told.
#[test]
fn of_a_crowd_that_meets_errors_one_after_the_other_asks_until_the_breaker_opens() {
    let world = World::new();
    let location = Location::new(&world);
    world.origin.scripted.replace(Some(Scripted { status: 500, lines: Vec::new(), body: None }));
    let mut leader = held(&location, OPS);
    let mut followers: Vec<_> = (0..40).map(|_| Open::new(&location, Asking::get(OPS))).collect();
    assert!(followers.iter_mut().all(|follower| !follower.run()));
    world.release(Point::OriginAnswer);
    assert!(leader.run());
    assert!(followers.iter_mut().all(Open::run));
    let said: Vec<_> = followers.iter().filter_map(Open::answer).map(|seen| seen.cache_status().to_string()).collect();
    assert_eq!(said.iter().filter(|said| *said == "fwd=uri-miss; detail=breaker-open").count(), 36, "{said:?}");
    assert_eq!(world.origin.count(), 5);
}

/// Those who followed one that failed do not all ask at once: the next one leads.
#[test]
fn after_a_failure_one_of_those_who_waited_asks_and_the_others_follow_it() {
    let world = World::new();
    let location = Location::new(&world);
    world.origin.fault.set(OriginFault::Fails);
    let mut leader = held(&location, OPS);
    let mut followers: Vec<_> = (0..20).map(|_| Open::new(&location, Asking::get(OPS))).collect();
    assert!(followers.iter_mut().all(|follower| !follower.run()));
    world.release(Point::OriginAnswer);
    assert!(leader.run());
    world.origin.fault.set(OriginFault::None);
    world.hold(Point::OriginAnswer);
    assert!(followers.iter_mut().all(|follower| !follower.run()));
    assert_eq!(world.origin.count(), 2);
    world.release(Point::OriginAnswer);
    assert!(followers.iter_mut().all(|follower| end(follower).0 == Some(2)));
    assert_eq!(world.origin.count(), 2);
}

/// The request that asked is gone, and with it whoever would say that it has ended: it leads for three seconds.
#[test]
fn a_fetch_that_was_given_up_is_followed_for_three_seconds_and_then_taken_over() {
    for (passed, waits) in [(0, 3_000), (2_000, 1_000), (3_000, 0), (30_000, 0)] {
        let world = World::new();
        let location = Location::new(&world);
        drop(held(&location, OPS));
        world.release(Point::OriginAnswer);
        world.pass(passed);
        let mut next = Open::new(&location, Asking::get(OPS));
        if waits > 0 {
            assert!(!next.run());
            world.pass(waits - 1);
            assert!(!next.run(), "{passed}");
            world.pass(1);
        }
        assert_eq!(end(&mut next), (Some(2), "fwd=uri-miss; fwd-status=200; stored".to_string()), "{passed}");
    }
}

/// What is out of date is renewed once at a time: whoever comes meanwhile asks neither Workers KV nor the origin.
#[test]
fn a_renewal_under_way_is_left_alone() {
    let world = World::new();
    let location = Location::new(&world);
    get(&location, OPS);
    assert_eq!(ask(&location, Asking::purge(r#"{"mode":"soft","all":true}"#)).status, 202);
    let mut renewing = held(&location, OPS);
    world.hold(Point::KvGet);
    assert_eq!(get(&location, OPS).cache_status(), "hit; ttl=300; detail=edge/invalidated");
    assert!(!world.holds(Point::KvGet));
    world.release(Point::OriginAnswer);
    assert_eq!(end(&mut renewing), (Some(1), "hit; ttl=300; detail=edge/invalidated".to_string()));
    assert_eq!((get(&location, OPS).serial(), world.origin.count()), (Some(2), 2));
}

/// A follower's answer is no hit, and is the leader's in everything that a client keeps.
#[test]
fn a_follower_gets_the_same_fields_and_may_ask_for_less() {
    let world = World::new();
    let location = Location::new(&world);
    let mut leader = held(&location, OPS);
    let mut head = Open::new(&location, Asking::new("HEAD", OPS));
    assert!(!head.run());
    world.release(Point::OriginAnswer);
    end(&mut leader);
    assert!(head.run());
    let (led, head) = (leader.answer().expect("an answer"), head.answer().expect("an answer"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "cache-control", "content-type", "content-length", "age"] {
        assert_eq!(head.field(name), led.field(name), "{name}");
    }
}
