//! A day of a million requests, by a virtual clock: what an isolate holds stays within its bounds, and as much comes from
//! store as a model of some thirty lines foresees, which knows lifetimes, windows, purges and midnight, and nothing else.
//!
//! In the ordinary run it is an hour, and twenty thousand.

use crate::client::{ask, get};
use crate::fakes::{Asking, Location, TENANT, World};
use crate::random::{Random, is_long};
use hotrod_edge::key::Tenant;
use hotrod_edge::ports::Ports as _;
use hotrod_edge::rules::{Lifetimes, Rules, load};
use serde_json::json;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A route of each class, with so many answers.
const ROUTES: [(&str, usize); 4] =
    [("near_real_time", 200), ("historical", 1500), ("aggregate", 1500), ("comparison", 3000)];
/// What an isolate's memory may hold: a small part of all answers.
const MEMORY_BYTES: usize = 256 * 1024;
/// Every so many milliseconds something is purged.
const PURGED_EVERY_MS: u64 = 600_000;

fn rules() -> Rules {
    let mut text = include_str!("../../rules.toml").to_string();
    for (class, many) in ROUTES {
        let hot = class == "near_real_time";
        let route =
            format!("name = \"soak_{class}\"\npath = \"/api/soak/{class}\"\nclass = \"{class}\"\nhot = {hot}\n");
        let key = format!("key = \"soak:{class}:v1\"\nquery = {{ n = {{ integer = [1, {many}] }} }}\n");
        text = [text.as_str(), "\n[[route]]\n", &route, &key].concat();
    }
    text.push_str("\n[[event]]\nname = \"soak\"\nroutes = [\"soak_near_real_time\"]\n");
    load("rules.toml", &text).expect("right")
}

/// Which answer: its route and its number.
type Key = (usize, usize);

fn url((route, n): Key) -> String {
    format!("/api/soak/{}?n={n}", ROUTES[route].0)
}

/// When each answer was made, and what was purged when.
struct Model {
    lifetimes: Vec<Lifetimes>,
    made: BTreeMap<Key, u64>,
    purges: Vec<Purge>,
}

struct Purge {
    at: u64,
    is_soft: bool,
    /// All answers of this route, or one of them.
    route: usize,
    n: Option<usize>,
}

impl Model {
    /// Whether a request is answered from store.
    fn asks(&mut self, key: Key, now: u64) -> bool {
        let Lifetimes { s_maxage, stale_while_revalidate, soft_window, .. } = self.lifetimes[key.0];
        let millis = |seconds: u32| u64::from(seconds) * 1000;
        let Some(made) = self.made.insert(key, now) else { return false };
        let covering = |purge: &&Purge| purge.at >= made && purge.route == key.0 && purge.n.is_none_or(|n| n == key.1);
        let is_purged = self.purges.iter().filter(covering).any(|purge| !purge.is_soft);
        let soft = self.purges.iter().filter(covering).map(|purge| purge.at).next();
        let (age, is_of_today) = (now - made, now / 86_400_000 == made / 86_400_000);
        if is_purged || !is_of_today {
            return false;
        }
        if soft.is_none() && age < millis(s_maxage) {
            // Fresh, and not made anew.
            self.made.insert(key, made);
            return true;
        }
        soft.is_none_or(|at| now < at + millis(soft_window)) && age < millis(s_maxage) + millis(stale_while_revalidate)
    }
}

struct Soak {
    world: Rc<World>,
    isolates: [Rc<Location>; 2],
    random: Random,
    model: Model,
    hits: usize,
    foreseen: usize,
    differ: usize,
}

impl Soak {
    fn new() -> Self {
        // Noon: a day of it passes midnight.
        let (world, rules) = (World::new(), Rc::new(rules()));
        let lifetimes = |class: &str| {
            let mut stored = rules.stored();
            stored.find_map(|(route, stored)| (route.class == class).then_some(stored.lifetimes)).expect("a class")
        };
        let model = Model {
            lifetimes: ROUTES.map(|(class, _)| lifetimes(class)).into(),
            made: BTreeMap::new(),
            purges: vec![],
        };
        let bytes = MEMORY_BYTES.to_string();
        let here = Location::with_settings(&world, &[("MEMORY_BYTES", &bytes)], Some(rules));
        let isolates = [here.clone(), Location::beside(&here)];
        Self { world, isolates, random: Random::new(24), model, hits: 0, foreseen: 0, differ: 0 }
    }

    /// The n-th most wanted answer is wanted by one in n, as on the web.
    fn any_key(&mut self) -> Key {
        let route = self.random.below(ROUTES.len());
        let mut n = ROUTES[route].1;
        // The greatest power of two below it by even chance, and then any number below that.
        for _ in 0..self.random.below(n.ilog2() as usize + 1) {
            n = n.div_ceil(2);
        }
        (route, 1 + self.random.below(n))
    }

    fn request(&mut self) {
        let (key, isolate) = (self.any_key(), self.random.pick(&self.isolates).clone());
        let foreseen = self.model.asks(key, self.world.now());
        let seen = get(&isolate, &url(key));
        assert_eq!(seen.status, 200, "{}", seen.text());
        let hit = seen.cache_status().starts_with("hit");
        self.hits += usize::from(hit);
        self.foreseen += usize::from(foreseen);
        self.differ += usize::from(hit != foreseen);
    }

    fn purge(&mut self) {
        let (key, is_soft) = (self.any_key(), self.random.once_in(2));
        let n = self.random.once_in(2).then_some(key.1);
        let mode = if is_soft { "soft" } else { "hard" };
        let body = match n {
            Some(_) => json!({ "urls": [url(key)], "mode": mode }),
            None => json!({ "routes": [format!("soak_{}", ROUTES[key.0].0)], "mode": mode }),
        };
        let seen = ask(&self.isolates[0], Asking::purge(body.to_string()));
        assert_eq!(seen.status, 202, "{}", seen.text());
        self.model.purges.push(Purge { at: self.world.now(), is_soft, route: key.0, n });
    }

    /// What is kept between requests, in an isolate and in the ledger's memory.
    fn judge_bounds(&self) {
        for isolate in &self.isolates {
            let (held, bytes) = isolate.memory(|memory| (memory.held(), memory.heads().count()));
            assert!(held.bytes <= MEMORY_BYTES && held.entries == bytes && held.entries <= 4096, "{held:?}");
            assert!(isolate.under_way().is_empty());
            let upstream = format!("{:?}", isolate.upstream.borrow());
            assert!(upstream.contains("slots: [], waiting: []") && upstream.len() < 4_000, "{upstream}");
            let breakers = isolate.breakers(|breakers| format!("{breakers:?}"));
            assert!(breakers.len() < 2_000, "{breakers}");
        }
        let object = self.world.object(&Tenant::new(TENANT).expect("a tenant"));
        let ledger = format!("{:?}", object.desk.borrow());
        assert!(ledger.len() < 100_000, "{} bytes", ledger.len());
    }
}

#[test]
fn a_day_of_a_million_requests_leaves_memory_flat_and_hits_as_foreseen() {
    let (requests, millis) = if is_long() { (1_000_000, 86_400_000) } else { (20_000, 3_600_000) };
    let mut soak = Soak::new();
    let (began, step) = (soak.world.now(), millis / requests);
    let mut evictions = 0;
    for request in 0..requests {
        soak.world.set_now(began + request * step + soak.random.below(60) as u64);
        if (request * step) / PURGED_EVERY_MS != ((request + 1) * step) / PURGED_EVERY_MS {
            soak.purge();
        }
        soak.request();
        if request % (requests / 20) == 0 {
            soak.judge_bounds();
            for store in [&soak.isolates[0].edge, &soak.world.kv] {
                store.forget_the_past();
            }
            evictions = soak.isolates[0].memory(|memory| memory.held()).evictions;
        }
    }
    soak.judge_bounds();
    let Soak { hits, foreseen, differ, .. } = soak;
    println!("of {requests} requests {hits} hits, {foreseen} foreseen, {differ} differ; {evictions} evictions");
    assert!(evictions > 100, "memory was never full: {evictions}");
    assert!(differ as u64 * 100 <= requests, "{hits} hits, {foreseen} foreseen, {differ} differ");
    assert!(hits as u64 * 2 > requests && (hits as u64) < requests * 99 / 100, "{hits} hits prove little");
}
