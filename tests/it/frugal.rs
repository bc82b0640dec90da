//! Equal figures: a browser is not sent them again, the origin is asked whether they changed, and Workers KV is not
//! written for them while less than half of their life is spent.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, Location, Scripted, World};
use crate::fakes::{GetFault, PutFault};
use std::rc::Rc;

const OPS: &str = "/api/dashboard/tiles/ops";
const NAME: &str = "shop.test/dashboard:tile:ops:v1";
/// One figure in three spellings, and another one.
const FIGURE: &str =
    r#"{"status":"ok","fact":{"id":1},"data":{"total":1.5,"rows":[{"n":10,"m":2}],"generated_at":"09:00"}}"#;
const PERMUTED: &str =
    r#"{"data":{"generated_at":"09:01","rows":[{"m":2,"n":10.0}],"total":15e-1},"fact":{"id":2},"status":"ok"}"#;
const ANOTHER: &str =
    r#"{"status":"ok","fact":{"id":1},"data":{"total":1.6,"rows":[{"n":10,"m":2}],"generated_at":"09:00"}}"#;

struct Shop {
    world: Rc<World>,
    location: Rc<Location>,
}

impl Shop {
    /// One whose tile is stored.
    fn new() -> Self {
        let world = World::new();
        let shop = Self { location: Location::new(&world), world };
        shop.says(FIGURE);
        assert_eq!(get(&shop.location, OPS).cache_status(), "fwd=uri-miss; fwd-status=200; stored");
        shop
    }

    fn says(&self, body: &str) {
        self.says_with(body, &[]);
    }

    fn says_with(&self, body: &str, fields: &[(&str, &str)]) {
        let fields = [("content-type", "application/json")].iter().chain(fields);
        let lines = fields.map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
        let scripted = Scripted { status: 200, lines, body: Some(body.as_bytes().to_vec()) };
        self.world.origin.scripted.replace(Some(scripted));
    }

    /// A fill, since this data centre has lost its copy, and Workers KV does not answer.
    #[track_caller]
    fn fills(&self) {
        self.location.edge.clear();
        self.world.kv.get_fault.set(GetFault::Fails);
        let seen = get(&self.location, OPS);
        assert_eq!((seen.status, seen.origin_requests), (200, 1));
        self.world.kv.get_fault.set(GetFault::None);
    }

    /// What lies in Workers KV.
    fn in_kv(&self) -> Option<String> {
        self.world.kv.head(NAME)
    }

    #[track_caller]
    fn check(&self, writes: bool) {
        let before = self.in_kv();
        self.fills();
        assert_eq!(self.in_kv() != before, writes, "{before:?}");
    }
}

#[test]
fn an_equal_figure_is_a_304_and_no_write() {
    let shop = Shop::new();
    let tag = get(&shop.location, OPS).field("etag").unwrap().to_string();
    for second in [1, 60, 88] {
        shop.world.pass(second * 1000);
        shop.says(PERMUTED);
        shop.check(false);
        let seen = ask(&shop.location, Asking::get(OPS).with("if-none-match", &tag));
        assert_eq!((seen.status, seen.origin_requests), (304, 0));
    }
}

#[test]
fn it_is_written_once_in_half_a_life() {
    let shop = Shop::new();
    let mut writes = Vec::new();
    for second in 1..=1200 {
        shop.world.pass(1000);
        if second % 10 == 0 {
            let before = shop.in_kv();
            shop.fills();
            if shop.in_kv() != before {
                writes.push(second);
            }
        }
    }
    assert_eq!(writes, (1..=8).map(|half| half * 150).collect::<Vec<_>>());
}

#[test]
fn what_is_new_is_written_at_once() {
    let shop = Shop::new();
    shop.world.pass(10_000);
    shop.says(ANOTHER);
    shop.check(true);
    shop.check(false);
}

#[test]
fn what_a_purge_made_old_is_written_again() {
    let shop = Shop::new();
    shop.world.pass(2_000);
    let body = r#"{"routes":["ops"],"mode":"hard","tenant":"shop.test"}"#;
    assert_eq!(ask(&shop.location, Asking::purge(body)).status, 202);
    shop.check(true);
}

#[test]
fn a_shorter_life_is_written() {
    let shop = Shop::new();
    shop.world.pass(2_000);
    shop.says_with(FIGURE, &[("cache-control", "max-age=30")]);
    shop.check(true);
    shop.world.pass(2_000);
    shop.says(FIGURE);
    shop.check(false);
}

#[test]
fn what_kv_has_lost_is_written_again() {
    let shop = Shop::new();
    shop.world.pass(10_000);
    shop.location.edge.clear();
    shop.world.kv.clear();
    assert_eq!(get(&shop.location, OPS).origin_requests, 1);
    assert!(shop.in_kv().is_some());
}

#[test]
fn what_kv_did_not_take_is_written_at_the_next_chance() {
    let shop = Shop::new();
    shop.world.pass(2_000);
    shop.says(ANOTHER);
    shop.world.kv.put_fault.set(PutFault::Fails);
    shop.check(false);
    shop.world.kv.put_fault.set(PutFault::None);
    shop.world.pass(2_000);
    shop.check(true);
}

/// Fills again when no window is left in which it would be renewed behind the answer: with what the origin was asked, and how it ended.
#[track_caller]
fn expires(shop: &Shop, fields: &[(&str, &str)], status: u16, body: &str) -> Seen {
    shop.world.pass(601_000);
    let lines = fields.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
    shop.world.origin.scripted.replace(Some(Scripted { status, lines, body: Some(body.as_bytes().to_vec()) }));
    let seen = get(&shop.location, OPS);
    assert_eq!((seen.status, seen.origin_requests), (200, 1));
    seen
}

#[test]
fn the_origin_is_asked_whether_its_figure_changed() {
    let shop = Shop::new();
    let tagged = [("content-type", "application/json"), ("etag", "\"a\"")];
    let first = expires(&shop, &tagged, 200, FIGURE);
    assert_eq!(shop.world.origin.last().unwrap().header("if-none-match"), None);
    let same = expires(&shop, &[("etag", "\"a\"")], 304, "");
    assert_eq!(same.cache_status(), "fwd=stale; fwd-status=304; stored");
    assert_eq!(shop.world.origin.last().unwrap().header("if-none-match"), Some("\"a\""));
    assert_eq!((same.text(), same.field("etag")), (first.text(), first.field("etag")));
    // It is fresh again, from the question on.
    assert_eq!(get(&shop.location, OPS).cache_status(), "hit; ttl=300; detail=edge");
}

#[test]
fn what_a_purge_dropped_is_not_asked_about() {
    let shop = Shop::new();
    expires(&shop, &[("content-type", "application/json"), ("etag", "\"a\"")], 200, FIGURE);
    let body = r#"{"routes":["ops"],"mode":"hard","tenant":"shop.test"}"#;
    ask(&shop.location, Asking::purge(body));
    get(&shop.location, OPS);
    assert_eq!(shop.world.origin.last().unwrap().header("if-none-match"), None);
}

/// An entry of another build, which kept another field and made its tag of other members.
#[test]
fn what_another_build_stored_is_judged_by_the_rules_of_this_one_when_it_is_renewed() {
    let shop = Shop::new();
    shop.says_with(FIGURE, &[("etag", "\"v1\"")]);
    shop.fills();
    let head = shop.location.edge.head(NAME).expect("it is stored");
    let tag = get(&shop.location, OPS).field("etag").expect("it has a tag").to_string();
    let of_another = head.replacen("\"h\":[", "\"h\":[[\"x-old\",\"1\"],", 1).replacen(
        &tag.replace('"', "\\\""),
        "W/\\\"old\\\"",
        1,
    );
    shop.location.edge.overwrite(NAME, &of_another);
    assert_eq!(get(&shop.location, OPS).field("etag"), Some("W/\"old\""));
    shop.world.pass(600_000);
    shop.world.origin.not_modified.replace(Some(vec![("etag".to_string(), "\"v1\"".to_string())]));
    shop.world.kv.clear();
    let seen = get(&shop.location, OPS);
    assert_eq!((seen.cache_status(), seen.origin_requests), ("fwd=stale; fwd-status=304; stored", 1));
    assert_eq!((seen.field("etag"), seen.field("x-old")), (Some(&*tag), None));
}
