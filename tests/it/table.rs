//! What holds for every stored route of the compiled table, whatever it says.

use crate::client::{Seen, ask, get};
use crate::fakes::{Asking, Location, TENANT, World};
use hotrod_edge::rules::{Accepts, Calendar, Disposition, Parameter, Policy, Route, Segment, Stored, compiled};
use std::rc::Rc;

/// A value that a parameter accepts, and another one if there is any.
fn values(parameter: &Parameter) -> Vec<String> {
    match &parameter.accepts {
        Accepts::OneOf(values) => values.iter().map(ToString::to_string).collect(),
        Accepts::Integer { min, max } => vec![min.to_string(), max.to_string()],
        Accepts::Word { .. } => vec!["a".to_string(), "b".to_string()],
    }
}

/// A path that a route matches.
pub fn path(route: &Route) -> String {
    route.path.iter().fold(String::new(), |path, segment| match segment {
        Segment::Literal(text) => format!("{path}/{text}"),
        Segment::Parameter { suffix, .. } => format!("{path}/x{suffix}"),
        Segment::Rest => format!("{path}/x/y"),
    })
}

/// An entry of the store: its route, the URL that asks for it, and its key within the tenant.
pub struct Entry {
    pub route: &'static Route,
    pub stored: &'static Stored,
    pub url: String,
    pub key: String,
}

/// One entry for every stored route and every value of its parameters.
pub fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    // In mode `open` nobody has a role.
    for (route, stored) in compiled().stored().filter(|(route, _)| route.roles.is_empty()) {
        let mut queries = vec![String::new()];
        for parameter in stored.shape().expect("a class that decides").query.iter() {
            let sign = |query: &String| if query.is_empty() { '?' } else { '&' };
            queries = queries
                .iter()
                .flat_map(|query| {
                    values(parameter)
                        .into_iter()
                        .map(move |value| format!("{query}{}{}={value}", sign(query), parameter.name))
                })
                .collect();
        }
        for query in queries {
            entries.push(Entry { route, stored, url: path(route) + &query, key: format!("{}{query}", stored.key) });
        }
    }
    entries
}

/// Every entry is in store, fetched in this order.
pub fn filled() -> Rc<Location> {
    let location = Location::new(&World::new());
    for entry in entries() {
        assert_eq!(get(&location, &entry.url).origin_requests, 1, "{}", entry.url);
    }
    location
}

#[track_caller]
fn check(seen: &Seen, url: &str, origin_requests: usize, status: u16, cache_status: &str, cache_control: &str) {
    assert_eq!(seen.origin_requests, origin_requests, "{url}");
    assert_eq!(seen.status, status, "{url}: {}", seen.text());
    assert_eq!(seen.cache_status(), cache_status, "{url}");
    assert_eq!(seen.field("cache-control"), Some(cache_control), "{url}");
    assert_eq!(seen.field("cloudflare-cdn-cache-control"), Some("no-store"), "{url}");
}

/// What is said to browsers and shared caches.
fn emitted(stored: &Stored, max_age: u32, s_maxage: u32) -> String {
    if stored.shape().expect("a class that decides").personal {
        format!("private, max-age={max_age}")
    } else {
        format!("public, max-age={max_age}, s-maxage={s_maxage}")
    }
}

#[test]
fn every_stored_route_is_a_miss_and_then_a_hit() {
    for Entry { route, stored, url, key } in entries() {
        // At midnight, so that no calendar cuts a lifetime of a day or less.
        let location = Location::new(&World::at(0));
        let rule = stored.lifetimes;
        let emitted = emitted(stored, rule.max_age, rule.s_maxage);
        let miss = get(&location, &url);
        check(&miss, &url, 1, 200, "fwd=uri-miss; fwd-status=200; stored", &emitted);
        assert_eq!((miss.serial(), miss.field("age")), (Some(1), None), "{url}");
        assert_eq!(location.world.origin.last().map(|asked| asked.url), Some(format!("https://origin.test{url}")));

        location.world.pass(7_000);
        let hit = get(&location, &url);
        check(&hit, &url, 0, 200, &format!("hit; ttl={}; detail=edge", rule.s_maxage - 7), &emitted);
        assert_eq!((hit.serial(), hit.field("age")), (Some(1), Some("7")), "{url}");
        assert_eq!(hit.field("etag"), miss.field("etag"));
        assert!(hit.field("etag").is_some_and(|tag| tag.starts_with("W/\"")), "{url}");

        let name = format!("shop.test/{key}");
        assert_eq!(location.edge.keys(), [name.as_str()]);
        assert_eq!(location.world.kv.keys(), if stored.hot { vec![name] } else { Vec::new() }, "{}", route.name);
    }
}

#[test]
fn every_stored_route_answers_head_and_a_condition_from_store() {
    let location = filled();
    for Entry { url, .. } in entries() {
        let hit = get(&location, &url);
        let head = ask(&location, Asking::new("HEAD", &url));
        assert_eq!((head.origin_requests, head.status, head.body.len()), (0, 200, 0), "{url}");
        assert_eq!(head.lines, hit.lines, "{url}");
        assert_eq!(head.field("content-length"), Some(hit.body.len().to_string().as_str()), "{url}");
        let tag = hit.field("etag").unwrap_or_default();
        let conditional = ask(&location, Asking::get(&url).with("if-none-match", tag));
        assert_eq!((conditional.origin_requests, conditional.status, conditional.body.len()), (0, 304, 0), "{url}");
        assert_eq!(conditional.field("etag"), Some(tag), "{url}");
    }
}

#[test]
fn every_stored_route_expires_to_the_second_and_at_midnight() {
    for Entry { stored, url, .. } in entries() {
        let location = Location::new(&World::at(0));
        let begun = location.world.now();
        let lifetime = u64::from(stored.lifetimes.s_maxage) * 1000;
        get(&location, &url);
        location.world.set_now(begun + lifetime - 1);
        assert_eq!(get(&location, &url).origin_requests, 0, "{url}");
        location.world.set_now(begun + lifetime);
        assert_eq!(get(&location, &url).origin_requests, 1, "{url}");

        assert_eq!(stored.lifetimes.calendar, Calendar::Day, "{url}: figures of a day end with it");
        let location = Location::new(&World::at(86_400 - 120));
        let fetched = get(&location, &url);
        let max_age = stored.lifetimes.max_age.min(120);
        let emitted = emitted(stored, max_age, 120);
        assert_eq!(fetched.field("cache-control"), Some(emitted.as_str()), "{url}");
        location.world.pass(119_999);
        assert_eq!(get(&location, &url).origin_requests, 0, "{url}");
        location.world.pass(1);
        assert_eq!(get(&location, &url).origin_requests, 1, "{url}");
    }
}

#[test]
fn a_tier_keeps_an_entry_as_long_as_it_may_be_reused_in_any_way_and_no_longer() {
    for Entry { stored, url, key, .. } in entries() {
        let location = Location::new(&World::at(0));
        let rule = stored.lifetimes;
        let keep = u64::from(rule.s_maxage + rule.stale_while_revalidate.max(rule.stale_if_error)) * 1000;
        let gone_at = Some(location.world.now() + keep);
        let key = format!("shop.test/{key}");
        get(&location, &url);
        assert_eq!(location.edge.gone_at(&key), gone_at, "{url}");
        assert_eq!(location.world.kv.gone_at(&key), gone_at.filter(|_| stored.hot), "{url}");
        // What comes out of Workers KV ten seconds later is not kept for ten seconds longer.
        location.edge.clear();
        location.world.pass(10_000);
        get(&location, &url);
        let promoted = if stored.hot { gone_at } else { gone_at.map(|at| at + 10_000) };
        assert_eq!(location.edge.gone_at(&key), promoted, "{url}");
    }
}

#[test]
fn a_lifetime_that_was_shortened_since_holds_for_what_is_stored() {
    let mut shortened = compiled().clone();
    for route in shortened.routes.to_mut() {
        if let Disposition::Store(stored) = &mut route.disposition {
            stored.lifetimes.s_maxage = 60;
        }
    }
    let world = World::new();
    let (before, after) = (Location::new(&world), Location::with(&world, TENANT, Some(Rc::new(shortened))));
    let url = "/api/dashboard/tiles/ops";
    assert_eq!(get(&before, url).origin_requests, 1);
    world.pass(59_999);
    assert_eq!((get(&after, url).origin_requests, get(&after, url).cache_status()), (0, "hit; ttl=1; detail=edge"));
    world.pass(1);
    assert_eq!(get(&after, url).origin_requests, 1);
}

#[test]
fn every_route_that_is_not_stored_is_asked_each_time() {
    let location = Location::new(&World::new());
    for route in compiled().routes.iter() {
        let live = match &route.disposition {
            Disposition::Live => true,
            Disposition::Bypass => false,
            Disposition::Store(_) => continue,
        };
        for method in ["GET", "HEAD", "POST", "GET"] {
            let seen = ask(&location, Asking::new(method, &path(route)));
            check(&seen, &route.name, 1, 200, "fwd=bypass; fwd-status=200", "no-store");
        }
        let class = compiled().class(&route.class);
        assert_eq!(class.is_some_and(|class| class.policy == Policy::Live), live, "{}", route.name);
    }
    assert!(location.edge.keys().is_empty() && location.world.kv.keys().is_empty());
}

/// The strategy's own numbers: freshness at the edge and in the browser, the stale windows, the soft window.
#[test]
fn the_classes_have_their_lifetimes() {
    let expected = [
        ("near_real_time", [300, 0, 300, 3_600, 10]),
        ("historical", [600, 300, 900, 86_400, 60]),
        ("aggregate", [3_600, 300, 3_600, 86_400, 60]),
        ("comparison", [86_400, 3_600, 3_600, 86_400, 60]),
    ];
    let stored: Vec<_> = compiled()
        .classes
        .iter()
        .filter_map(|class| match &class.policy {
            Policy::Store(rule) => Some((
                class.name.as_ref(),
                [rule.s_maxage, rule.max_age, rule.stale_while_revalidate, rule.stale_if_error, rule.soft_window],
            )),
            Policy::Origin(_) | Policy::Live | Policy::Bypass => None,
        })
        .collect();
    assert_eq!(stored, expected);
}

#[test]
fn each_route_says_so_if_it_is_hot_or_personal() {
    let names = |pick: fn(&Stored) -> bool| -> Vec<&str> {
        compiled().stored().filter(|(_, stored)| pick(stored)).map(|(route, _)| route.name.as_ref()).collect()
    };
    let hot = ["sales_pulse", "inventory", "fulfillment", "cx", "ops", "kpi_summary", "alerts_critical", "alerts_all"];
    assert_eq!(names(|stored| stored.hot), hot);
    assert_eq!(names(|stored| stored.shape().expect("a class that decides").personal), ["cx"]);
}
