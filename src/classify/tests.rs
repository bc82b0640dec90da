use super::{Classified, Forward, Lane, Selected, classify};
use crate::rules::{Route, Rules, load};
use crate::target::Target;
use alloc::string::{String, ToString as _};

const RULES: &str = r#"
origin_prefixes = ["/api/"]
dropped_parameters = ["_"]

[[class]]
name = "live"
policy = "live"

[[class]]
name = "bypass"
policy = "bypass"

[[class]]
name = "day"
s_maxage = 300
max_age = 0
stale_while_revalidate = 0
stale_if_error = 0
soft_window = 10
ceiling = 600
calendar = "day"
without_ledger = "forward"
snapshot_isolate = 1
snapshot_bound = 5

[[class]]
name = "pages"
policy = "origin"
soft_window = 10
without_ledger = "forward"
snapshot_isolate = 1
snapshot_bound = 5

[envelope.api]
require = { member = "success", equals = true }

[[route]]
name = "now"
path = "/api/now"
class = "live"

[[route]]
name = "files"
path = "/api/files/{name}.csv"
class = "bypass"

[[route]]
name = "trend"
path = "/api/trends/{name}.json"
class = "day"
key = "trend:v1"
envelope = "api"
query = { days = { values = ["30", "90"], default = "30" }, unit = { values = ["eur"] } }

[[route]]
name = "owner"
path = "/api/owner-s/{page}"
class = "day"
key = "owner:v1"
envelope = "api"
roles = ["owner"]

[[route]]
name = "pages"
path = "/api/pages/*"
class = "pages"

[[role]]
name = "owner"
claim = "role"
values = ["owner"]
"#;

fn rules() -> Rules {
    load("rules.toml", RULES).unwrap()
}

/// What becomes of a request, in a few words.
fn read(method: &str, path_and_query: &str) -> String {
    let (rules, url) = (rules(), format!("https://edge.test{path_and_query}"));
    let of = |route: &Route| route.name.to_string();
    match classify(&rules, method, &Target::parse(&url).unwrap()) {
        Classified::Health => "health".into(),
        Classified::Admin => "admin".into(),
        Classified::Forward(Lane::Live(route)) => format!("live {}", of(route)),
        Classified::Forward(Lane::Bypass(route)) => format!("bypass {}", of(route)),
        Classified::Forward(Lane::Unlisted) => "unlisted".into(),
        Classified::Forward(Lane::Method(route)) => format!("method {}", of(route)),
        Classified::Forward(Lane::Past(route, why)) => format!("{} {}", why.as_str(), of(route)),
        Classified::Stored(Selected { route, key, query, nocache, .. }) => {
            format!("{} {key} {query}{}", of(route), if nocache { " nocache" } else { "" })
        }
        Classified::NotFound => "not found".into(),
        Classified::Refused(refused) => refused.sentence(),
    }
}

#[track_caller]
fn check(path_and_query: &str, expected: &str) {
    assert_eq!(read("GET", path_and_query), expected, "{path_and_query}");
}

#[test]
fn the_edge_has_paths_of_its_own() {
    check("/healthz", "health");
    check("/healthz/x", "not found");
    for path in ["/cache", "/cache/", "/cache/purge"] {
        check(path, "admin");
    }
    for path in ["/cached", "/", "/api", "/other/now"] {
        check(path, "not found");
    }
}

#[test]
fn a_route_matches_its_whole_path() {
    check("/api/now", "live now");
    check("/api/files/a.csv", "bypass files");
    for path in ["/api/nows", "/api/now/x", "/api/files/a.txt", "/api/files/.csv", "/api/files", "/api/pages"] {
        check(path, "unlisted");
    }
    check("/api/trends/sales.json?unit=eur", "trend trend:v1?days=30&name=sales&unit=eur ?days=30&unit=eur");
    check("/api/owner-s/a", "owner owner:v1?page=a ");
}

#[test]
fn the_store_answers_get_and_head() {
    for method in ["GET", "HEAD"] {
        assert_eq!(read(method, "/api/owner-s/a"), "owner owner:v1?page=a ", "{method}");
    }
    for method in ["POST", "get", "OPTIONS", "DELETE"] {
        assert_eq!(read(method, "/api/owner-s/a"), "method owner", "{method}");
        assert_eq!(read(method, "/api/now"), "live now", "{method}");
    }
}

#[test]
fn what_a_server_may_take_for_a_route_of_some_readers_is_not_passed_on() {
    for path in ["/api/Owner-S/a", "/api/owner-s/a/", "/api/owner-s;x/a", "/api/owner-s.json/a;y"] {
        check(path, "not found");
    }
    for path in ["/api/owner-t/a", "/api/owner/a", "/api/owner-s", "/api/owner-s/a/b", "/api/other", "/api/NOW"] {
        check(path, "unlisted");
    }
}

#[test]
fn a_value_in_a_path_has_a_greatest_length() {
    let (longest, longer) = ("a".repeat(64), "a".repeat(65));
    check(&format!("/api/owner-s/{longest}"), &format!("owner owner:v1?page={longest} "));
    check(&format!("/api/owner-s/{longer}"), "Parameter `page` has a value that this route does not accept.");
}

#[test]
fn a_query_is_what_its_route_knows_each_once() {
    let trend = |query: &str| format!("/api/trends/x.json?{query}");
    check(&trend("unit=eur&days=90&_=1"), "trend trend:v1?days=90&name=x&unit=eur ?days=90&unit=eur");
    check(&trend("_=1&unit=eur&_=2"), "trend trend:v1?days=30&name=x&unit=eur ?days=30&unit=eur");
    check(&trend("unit=eur&nocache=true"), "trend trend:v1?days=30&name=x&unit=eur ?days=30&unit=eur nocache");
    check(&trend("unit=eur&nocache=1"), "trend trend:v1?days=30&name=x&unit=eur ?days=30&unit=eur");
    check(&trend(""), "Query parameter `unit` is missing.");
    check(&trend("unit"), "Parameter `unit` has a value that this route does not accept.");
    check(&trend("unit=usd"), "Parameter `unit` has a value that this route does not accept.");
    check(&trend("unit=eur&unit=eur"), "Query parameter `unit` is given twice.");
    check(&trend("unit=eur&nocache=true&nocache=true"), "Query parameter `nocache` is given twice.");
    check(&trend("unit=eur&Unit=eur"), "Query parameter `Unit` is not known on this route.");
    check(&trend("unit=eur&"), "Query parameter `` is not known on this route.");
    check(&trend(&format!("unit=eur{}", "&_".repeat(63))), "trend trend:v1?days=30&name=x&unit=eur ?days=30&unit=eur");
    check(&trend(&format!("unit=eur{}", "&_".repeat(64))), "The query has more than 64 parameters.");
}

#[test]
fn where_the_origin_decides_the_url_is_the_key() {
    check("/api/pages/a/b?y=2&x=1", "pages pages:/api/pages/a/b?y=2&x=1 ?y=2&x=1");
    check("/api/pages/a?nocache=true", "pages pages:/api/pages/a?nocache=true ?nocache=true");
    let path = |length: usize| format!("/api/pages/{}", "a".repeat(length - "/api/pages/".len()));
    check(&path(256), &format!("pages pages:{} ", path(256)));
    let (one, other) = (read("GET", &path(257)), read("GET", &path(258)));
    assert_eq!(one.len(), "pages pages: ".len() + 64, "{one}");
    assert_ne!(one, other);
}

#[test]
fn a_lane_is_that_of_its_route() {
    let rules = rules();
    let route = rules.route("now").unwrap();
    for lane in [Lane::Live(route), Lane::Bypass(route), Lane::Method(route), Lane::Past(route, Forward::Request)] {
        assert_eq!(lane.route(), Some(route));
    }
    assert_eq!(Lane::Unlisted.route(), None);
}
