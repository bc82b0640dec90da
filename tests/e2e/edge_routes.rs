//! Every route of rules.toml on the real Worker: a miss and then a hit with exactly what its class emits, or
//! never stored at all.

use hotrod_edge::rules::{Disposition, Segment, compiled};
use lab::client::Response;
use lab::day::{cut, ttl};
use lab::harness::Edge;
use lab::origin::Answer;
use lab::stored::{Kept, all_kept};

/// `Cache-Control` is that of the class, exactly; cut where midnight is nearer than its lifetimes.
#[track_caller]
fn check_cache_control(kept: &Kept, response: &Response) {
    let says = |lifetime: i64| {
        let (max_age, s_maxage) = (lifetime.min(kept.lifetimes.max_age.into()), lifetime);
        if kept.personal {
            format!("private, max-age={max_age}")
        } else {
            format!("public, max-age={max_age}, s-maxage={s_maxage}")
        }
    };
    let field = response.field("Cache-Control").expect("every answer has Cache-Control");
    let allowed: Vec<String> = cut(kept.lifetimes.s_maxage, 10).map(says).collect();
    assert!(allowed.iter().any(|says| says == field), "{}: {field:?}, not one of {allowed:?}", kept.target);
    assert_eq!(response.field("Cloudflare-CDN-Cache-Control"), Some("no-store"), "{}", kept.target);
    let etag = response.field("ETag").unwrap_or_default();
    assert!(etag.starts_with("W/\"") && etag.len() == 36, "{}: {etag}", kept.target);
}

#[test]
fn every_cached_route_is_a_miss_and_then_a_hit() {
    let edge = Edge::start();
    let routes = all_kept();
    assert!(routes.len() >= 21, "the compiled table has lost routes: {}", routes.len());
    for kept in &routes {
        let fact = format!("of {}", kept.key);
        edge.origin.answer(&kept.target, Answer::tile(&fact));
        let first = edge.get(&kept.target).expect(200).fwd("uri-miss").stored(true).says(&fact).no_field("Age");
        let first = first.origin_requests(1);
        check_cache_control(kept, &first);
        edge.wait_until_kept(&kept.key, &first.text());
        let lifetime = ttl(kept.lifetimes.s_maxage);
        let second = edge.get(&kept.target).expect(200).hit().ttl(lifetime).detail("edge").body(&first.body);
        let second = second.field("Content-Type", "application/json").origin_requests(0);
        check_cache_control(kept, &second);
        assert_eq!(second.field("ETag"), first.field("ETag"));
        assert!(second.field("Age").and_then(|age| age.parse().ok()).is_some_and(|age: u32| age < 10), "{second:?}");
        assert_eq!(edge.origin.count(&kept.target), 1, "{}", kept.target);
    }
    let hot: Vec<&Kept> = routes.iter().filter(|kept| kept.hot).collect();
    assert_eq!(edge.kv.keys().len(), hot.len(), "only hot routes are in KV: {:?}", edge.kv.keys());
}

#[test]
fn the_classes_emit_what_is_promised() {
    let promised = |route: &str| {
        let kept = all_kept().into_iter().find(|kept| kept.route == route).expect("the route is cached");
        (kept.lifetimes.max_age, kept.lifetimes.s_maxage, kept.personal)
    };
    assert_eq!(promised("sales_pulse"), (0, 300, false));
    assert_eq!(promised("cx"), (0, 300, true));
    assert_eq!(promised("trends_revenue"), (300, 600, false));
    assert_eq!(promised("metrics_ytd"), (300, 3600, false));
    assert_eq!(promised("compare_yoy"), (3600, 86400, false));
    let personal: Vec<_> = all_kept().into_iter().filter(|kept| kept.personal).map(|kept| kept.route).collect();
    assert_eq!(personal, ["cx"]);
}

/// A path that this route matches.
fn example(path: &[Segment]) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => text.to_string(),
        Segment::Parameter { suffix, .. } => format!("SKU-1{suffix}"),
        Segment::Rest => "a/b".to_string(),
    };
    format!("/{}", path.iter().map(segment).collect::<Vec<_>>().join("/"))
}

#[test]
fn live_routes_ask_the_origin_each_time_and_are_never_stored() {
    let edge = Edge::start();
    for route in compiled().routes.iter().filter(|route| !matches!(route.disposition, Disposition::Store(_))) {
        let target = example(&route.path);
        let answer = |fact| Answer::tile(fact).field("Cache-Control", "public, max-age=60").field("Expires", "soon");
        let answers = vec![answer("first"), answer("second")];
        edge.origin.answers(&target, answers);
        let control = match route.disposition {
            Disposition::Live => "no-store",
            _ => "public, max-age=60",
        };
        for fact in ["first", "second"] {
            let case = edge.get(&target).expect(200).fwd("bypass").stored(false).says(fact);
            let case = case.field("Cache-Control", control).field("Cloudflare-CDN-Cache-Control", "no-store");
            let response = case.no_field("Age").origin_requests(1);
            assert_eq!(response.fields.has("Expires"), control != "no-store", "{target}");
        }
    }
    assert_eq!((edge.cache.urls(lab::harness::CACHE).len(), edge.kv.keys().len()), (0, 0));
}

#[test]
fn one_default_parameter_is_one_key_and_another_value_another() {
    let edge = Edge::start();
    let path = "/api/dashboard/trends/revenue";
    edge.origin.answer(&format!("{path}?days=30"), Answer::tile("thirty"));
    edge.origin.answer(&format!("{path}?days=90"), Answer::tile("ninety"));
    let first = edge.get(path).expect(200).fwd("uri-miss").says("thirty").origin_requests(1);
    assert_eq!(edge.origin.all_requests()[0].target, format!("{path}?days=30"));
    edge.wait_until_kept("dashboard:trends:revenue:v1?days=30", &first.text());
    for same in ["?days=30", "?days=30&utm_source=x", "?_=123&days=30", "?nocache=true", "?nocache=1&_=%zz&_="] {
        edge.get(&format!("{path}{same}")).expect(200).hit().says("thirty").origin_requests(0);
    }
    edge.get(&format!("{path}?days=90")).expect(200).fwd("uri-miss").says("ninety").origin_requests(1);
}

#[test]
fn a_query_that_the_rule_does_not_know_is_refused_at_the_edge() {
    let edge = Edge::start();
    let path = "/api/dashboard/trends/revenue";
    for query in [
        "days=31",
        "days=030",
        "days=%33%30",
        "days",
        "days=",
        "days=30&days=30",
        "days=30&days=90",
        "Days=30",
        "day%73=30",
        "mock=1",
        "days=30;x=1",
        "days=30&",
        "&",
        "_method=DELETE",
        "days=30%00",
        "days[]=30",
    ] {
        edge.get(&format!("{path}?{query}")).problem(400).origin_requests(0);
    }
    edge.get("/api/dashboard/tiles/ops?callback=x").problem(400).origin_requests(0);
    let many: Vec<_> = (0..300).map(|number| format!("p{number}=x")).collect();
    edge.get(&format!("{path}?{}", many.join("&"))).problem(400).origin_requests(0);
}
