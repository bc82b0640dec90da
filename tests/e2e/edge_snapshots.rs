//! Copies of counters: a hit costs no question to the ledger, a page costs one, and what the ledger cannot be asked about
//! is answered as the class says.

use std::thread;
use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::harness::{CACHE, EPOCH_SECRET, Edge, OPERATOR_TOKEN, Options};
use lab::origin::Answer;
use lab::stored::{Kept, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, all_kept, counters_url};
use lab::stores::{Consistency, Fault, Op};
use lab::{Lab, Layout};
use serde_json::json;

/// Longer than an isolate uses its own copy without a look at the data centre's.
const ISOLATE: Duration = Duration::from_millis(1_100);
/// The greatest age of counters that judge a tile.
const BOUND: Duration = Duration::from_secs(5);
/// The same where a test waits until all counters are older: there, an hour is a second.
const QUIET: Duration = Duration::from_secs(1);

/// How often counters were asked for: what is filled takes a lease too, and hands it back.
fn counters_asked(edge: &Edge) -> u64 {
    let calls = edge.tell("ledger/calls").json();
    let of_counters =
        calls.as_object().expect("counts by path").iter().filter(|(path, _)| path.starts_with("/counters/"));
    of_counters.map(|(_, count)| count.as_u64().expect("a count")).sum()
}

#[test]
fn a_hit_asks_neither_ledger_nor_kv_while_the_counters_are_within_their_bound() {
    let edge = Options::failing().start();
    edge.fill(SALES, SALES_KEY, "a tile");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "history");
    let filled = Instant::now();
    let asked = (counters_asked(&edge), edge.kv_face.log().len());
    assert_eq!(asked.0, 1, "both were filled by one question");
    for pause in [Duration::ZERO, ISOLATE, ISOLATE] {
        thread::sleep(pause);
        for _ in 0..20 {
            edge.get(SALES).expect(200).hit().detail("edge").says("a tile").origin_requests(0);
            edge.get(SEGMENTS).expect(200).hit().detail("edge").says("history").origin_requests(0);
        }
    }
    assert!(filled.elapsed() + ISOLATE < BOUND, "too slow to tell anything: {:?}", filled.elapsed());
    assert_eq!((counters_asked(&edge), edge.kv_face.log().len()), asked);
    // A tile needs younger counters than history does.
    thread::sleep(BOUND.saturating_sub(filled.elapsed()));
    edge.is_hit(SEGMENTS, "history");
    assert_eq!(counters_asked(&edge), asked.0);
    for _ in 0..20 {
        edge.is_hit(SALES, "a tile");
    }
    assert_eq!((counters_asked(&edge), edge.kv_face.log().len()), (asked.0 + 1, asked.1));
}

/// Two isolates of one data centre, in which the five tiles are stored.
fn five_tiles() -> (Lab, Vec<Kept>) {
    let layout = Layout::new().locations(&["ams"]).isolates(2).kv(Consistency::default());
    let lab = layout.var("SNAPSHOT_AT_MOST_MS", &QUIET.as_millis().to_string()).start();
    let tiles: Vec<_> = all_kept().into_iter().filter(|kept| kept.target.contains("/tiles/")).collect();
    assert_eq!(tiles.len(), 5);
    for tile in &tiles {
        lab.origin().answer(&tile.target, Answer::tile(&tile.key));
        let filled = lab.at("ams").get(&tile.target).expect(200).stored(true).origin_requests(1);
        lab.at("ams").wait_until_kept(&tile.key, &filled.text());
    }
    (lab, tiles)
}

/// Asks an isolate for all of them at once.
fn page(lab: &Lab, tiles: &[Kept], isolate: usize) -> Vec<Response> {
    thread::scope(|scope| {
        let ask = |tile| move || lab.at("ams").isolate(isolate).ask(&Call::get(tile));
        let asking: Vec<_> = tiles.iter().map(|tile| scope.spawn(ask(&tile.target))).collect();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect()
    })
}

#[track_caller]
fn is_hit(tile: &Kept, answer: &Response) {
    assert_eq!((answer.status, &answer.json()["fact"]["says"]), (200, &json!(tile.key)), "{answer:?}");
    assert!(answer.field("Cache-Status").is_some_and(|status| status.contains("; hit; ")), "{answer:?}");
}

#[test]
fn a_page_of_five_tiles_after_a_quiet_hour_asks_the_ledger_once_and_waits_for_it_once() {
    let delay = Duration::from_millis(100);
    let (lab, tiles) = five_tiles();
    lab.delay_ledger("ams", delay);
    for _ in 0..3 {
        thread::sleep(QUIET);
        let shared = || lab.at("ams").cache().get(CACHE, &counters_url()).map(|(_, text)| text);
        let (calls, looks, old) = (lab.ledger_calls("ams"), lab.at("ams").kv_face().log().len(), shared());
        let started = Instant::now();
        let answers = page(&lab, &tiles, 0);
        let took = started.elapsed();
        for (tile, answer) in tiles.iter().zip(&answers) {
            is_hit(tile, answer);
            assert!(answer.head_after >= delay, "answered without the ledger: {answer:?}");
        }
        assert!(took < delay * 5, "five tiles waited {took:?}, one after the other");
        assert_eq!((lab.ledger_calls("ams"), lab.at("ams").kv_face().log().len()), (calls + 1, looks));
        // The other isolate finds the counters in the data centre.
        while shared() == old {
            assert!(started.elapsed() < QUIET, "the counters were not shared");
            thread::sleep(Duration::from_millis(2));
        }
        for (tile, answer) in tiles.iter().zip(&page(&lab, &tiles, 1)) {
            is_hit(tile, answer);
        }
        assert_eq!(lab.ledger_calls("ams"), calls + 1);
    }
    assert_eq!(lab.origin().total(), 5);
}

#[test]
fn an_isolate_takes_over_the_counters_of_its_data_centre_with_their_age() {
    let (lab, tiles) = five_tiles();
    thread::sleep(QUIET);
    page(&lab, &tiles, 0);
    let asked = Instant::now();
    let before = lab.ledger_calls("ams");
    thread::sleep(QUIET / 2);
    page(&lab, &tiles, 1);
    assert!(asked.elapsed() < QUIET, "too slow to tell anything: {:?}", asked.elapsed());
    assert_eq!(lab.ledger_calls("ams"), before);
    // Taken over half way, they are not used for longer. Whoever is late at the data centre's copy finds that another
    // request has asked the ledger.
    thread::sleep(QUIET.saturating_sub(asked.elapsed()));
    for fault in [Fault::Slow(QUIET / 4), Fault::Miss] {
        lab.at("ams").cache_face().faults().set_for(Op::Get, "/cache/counters/", fault, 2);
    }
    page(&lab, &tiles, 1);
    assert_eq!(lab.ledger_calls("ams"), before + 1);
}

#[test]
fn without_ledger_and_origin_what_is_stored_is_served_and_says_why() {
    let edge = Options::failing().short_snapshots().start();
    edge.fill(SALES, SALES_KEY, "a tile");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "history");
    edge.tell("ledger/unreachable");
    edge.snapshots_expire();
    let puts = edge.answer_count(Op::Put);
    edge.origin.answer(SALES, Answer::tile("live"));
    for _ in 0..2 {
        let case = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("ledger").says("live");
        case.field("Cache-Control", "no-store").origin_requests(1);
        edge.get(SEGMENTS).expect(200).hit().detail("edge/ledger").says("history").origin_requests(0);
    }
    assert_eq!((edge.answer_count(Op::Put), edge.kv_face.count(Op::Put)), (puts, 1));
    edge.origin.answer(SALES, Answer::tile("broken").status(503));
    let broken = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("stale-if-error").says("a tile");
    broken.origin_requests(1);
    edge.origin.stop();
    let gone = edge.get(SALES).expect(200).fwd("stale").stored(false).detail("stale-if-error").says("a tile");
    gone.origin_requests(0);
    edge.get(SEGMENTS).expect(200).hit().detail("edge/ledger").says("history").origin_requests(0);
    // A purge that is known of is not forgotten for it.
    edge.origin.resume();
    edge.tell("ledger/none");
    edge.purge(&json!({"mode": "hard", "all": true}));
    edge.tell("ledger/unreachable");
    edge.snapshots_expire();
    edge.origin.stop();
    edge.get(SALES).problem(502).origin_requests(0);
    edge.get(SEGMENTS).problem(502).origin_requests(0);
}

/// The token of a purge at an edge with these settings.
fn token_of(options: Options) -> String {
    let receipt = options.start().order(OPERATOR_TOKEN, &json!({"mode": "soft", "all": true}));
    receipt["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_token_that_was_not_signed_for_this_tenant_asks_nobody() {
    let edge = Options::failing().start();
    edge.fill(SEGMENTS, SEGMENTS_KEY, "history");
    let real = edge.order(OPERATOR_TOKEN, &json!({"mode": "hard", "routes": ["ops"]}));
    let real = real["token"].as_str().expect("a token");
    let (position, signature) = real.split_once('.').expect("a position and a signature");
    let later = position.parse::<u64>().expect("a position") + 1_000_000;
    let mut tokens = vec![
        token_of(Options::built().var("TENANT", "other.myshopify.com")),
        token_of(Options::built().var("EPOCH_SECRET", &EPOCH_SECRET.replace("epoch", "other"))),
        format!("{later}.{signature}"),
        format!("{later}.{}", "0".repeat(signature.len())),
        format!("0{later}.{signature}"),
        format!("{later}."),
        format!("{later}"),
        format!("{later}.{}", &signature[1..]),
        format!("{}.{signature}", u64::MAX),
        format!("{}0.{signature}", u64::MAX),
        format!("-1.{signature}"),
        format!("{}.{signature}", "9".repeat(7_000)),
    ];
    tokens.extend(["", ".", "..", "x", "\"", "\u{fffd}", "null", "*"].map(str::to_owned));
    let calls = edge.ledger_calls();
    for token in &tokens {
        let call = Call::get(SEGMENTS).field("X-Newer-Than", token);
        edge.send(&call).expect(200).hit().detail("edge").says("history").origin_requests(0);
    }
    let twice = Call::get(SEGMENTS).field("X-Newer-Than", real).field("X-Newer-Than", &tokens[0]);
    edge.send(&twice).expect(200).hit().detail("edge").origin_requests(0);
    assert_eq!(edge.ledger_calls(), calls);
    // A real one is known already here; and nobody can make the edge ask more often than that.
    for _ in 0..20 {
        let call = Call::get(SEGMENTS).field("X-Newer-Than", real);
        edge.send(&call).expect(200).hit().detail("edge").says("history").origin_requests(0);
    }
    assert_eq!(edge.ledger_calls(), calls);
}

#[test]
fn a_token_from_elsewhere_costs_a_location_one_question() {
    let lab = Layout::new().locations(&["ams", "iad"]).kv(Consistency::default()).start();
    lab.origin().answer(SALES, Answer::tile("old"));
    let old = lab.at("iad").get(SALES).expect(200).stored(true).origin_requests(1);
    lab.at("iad").wait_until_kept(SALES_KEY, &old.text());
    let purge = json!({"mode": "hard", "routes": ["sales_pulse"]}).to_string();
    let receipt = lab.at("ams").send(&lab::purge::purge_call(OPERATOR_TOKEN, purge)).expect(202).origin_requests(0);
    let token = receipt.json()["token"].as_str().expect("a token").to_owned();
    // A fill takes a lease too; this is about counters.
    let counters = || lab.ledger_calls_by_path("iad").into_iter().filter(|(path, _)| path.starts_with("/counters/"));
    let calls = || counters().map(|(_, count)| count).sum::<usize>();
    let before = calls();
    lab.at("iad").get(SALES).expect(200).hit().says("old").origin_requests(0);
    lab.origin().answer(SALES, Answer::tile("new"));
    let newer = Call::get(SALES).field("X-Newer-Than", token);
    let new = lab.at("iad").send(&newer).expect(200).fwd("uri-miss").detail("purged").says("new").origin_requests(1);
    lab.at("iad").wait_until_kept(SALES_KEY, &new.text());
    for _ in 0..20 {
        lab.at("iad").send(&newer).expect(200).hit().says("new").origin_requests(0);
    }
    assert_eq!(calls(), before + 1);
}

#[test]
fn a_copy_of_counters_that_says_nothing_is_as_if_it_were_not_there() {
    let edge = Options::failing().start();
    edge.fill(SALES, SALES_KEY, "a tile");
    let url = counters_url();
    let (fields, good) = edge.cache.get(CACHE, &url).expect("the counters are shared");
    let good = String::from_utf8(good).expect("they are text");
    let damaged = ["", "x", "0", "0\n", "99999999999999999999\n1", &good[..good.len() / 2], &good.replace('\n', " ")];
    for text in damaged {
        edge.cache.insert(CACHE, &url, fields.clone(), text.as_bytes(), Duration::from_mins(1));
        // Past the time in which the isolate looks at its own alone.
        thread::sleep(ISOLATE);
        edge.is_hit(SALES, "a tile");
    }
    let health = edge.get("/healthz").expect(200).origin_requests(0).json();
    assert_eq!(health["incidents"], json!({}), "{health}");
}
