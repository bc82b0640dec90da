//! Purges that are refused: each with its status and its sentence, and nothing is purged.

use crate::client::{ask, get};
use crate::fakes::{Asking, Content, Location, TENANT, World};

const OPS: &str = "/api/dashboard/tiles/ops";

#[track_caller]
fn check_request(purge: Asking, status: u16, sentence: &str) {
    let world = World::new();
    let location = Location::new(&world);
    assert_eq!(get(&location, OPS).origin_requests, 1);
    let before = world.counters(TENANT);
    let refused = ask(&location, purge);
    assert_eq!((refused.status, refused.origin_requests), (status, 0), "{}", refused.text());
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    assert_eq!(refused.field("cache-control"), Some("no-store"));
    let detail = refused.json()["detail"].as_str().unwrap_or_default().to_string();
    assert_eq!(detail, format!("{sentence} Nothing was purged."));
    assert_eq!(world.counters(TENANT), before, "the ledger was told something");
    let tile = get(&location, OPS);
    assert_eq!((tile.origin_requests, tile.cache_status()), (0, "hit; ttl=300; detail=edge"));
}

#[track_caller]
fn check(body: &str, status: u16, sentence: &str) {
    check_request(Asking::purge(body), status, sentence);
}

#[test]
fn what_is_not_json_is_a_400() {
    check("", 400, "The body is not JSON: EOF while parsing a value at line 1 column 0.");
    check("mode=hard", 400, "The body is not JSON: expected value at line 1 column 1.");
    check(
        r#"{"mode":"hard","all":true"#,
        400,
        "The body is not JSON: EOF while parsing an object at line 1 column 25.",
    );
    check(r#"{"mode":"hard","all":true} x"#, 400, "The body is not JSON: trailing characters at line 1 column 28.");
    check(
        &format!("{}{}", "[".repeat(1000), "]".repeat(1000)),
        400,
        "The body is not JSON: recursion limit exceeded at line 1 column 128.",
    );
}

#[test]
fn json_of_another_shape_is_a_400_that_names_the_member() {
    for body in ["[]", "null", "true", "\"all\"", "1"] {
        check(body, 400, "The body is not a JSON object.");
    }
    let wrong = |name: &str| format!("`{name}` is not of its type, or not a member of a purge.");
    for (body, name) in [
        (r#"{"mode":"hard","all":true,"everything":true}"#, "everything"),
        (r#"{"mode":"hard","All":true}"#, "All"),
        (r#"{"mode":"hard","all":"true"}"#, "all"),
        (r#"{"mode":"hard","all":1}"#, "all"),
        (r#"{"mode":"hard","all":true,"dry_run":"no"}"#, "dry_run"),
        (r#"{"mode":["hard"],"all":true}"#, "mode"),
        (r#"{"mode":null,"all":true}"#, "mode"),
        (r#"{"mode":"hard","all":true,"tenant":7}"#, "tenant"),
        (r#"{"mode":"hard","routes":"ops"}"#, "routes"),
        (r#"{"mode":"hard","routes":["ops",1]}"#, "routes"),
        (r#"{"mode":"hard","keys":{"a":1}}"#, "keys"),
        (r#"{"mode":"hard","classes":[["near_real_time"]]}"#, "classes"),
        (r#"{"mode":"hard","urls":[null]}"#, "urls"),
        (r#"{"mode":"hard","tags":"a"}"#, "tags"),
    ] {
        check(body, 400, &wrong(name));
    }
}

#[test]
fn a_purge_without_a_mode_that_exists_is_a_422() {
    check(r#"{"all":true}"#, 422, "`mode` is missing: say `soft`, `hard` or `erase`.");
    check(r#"{"all":true,"mode":"HARD"}"#, 422, "Mode `HARD` is not known: say `soft`, `hard` or `erase`.");
    check(r#"{"all":true,"mode":""}"#, 422, "Mode `` is not known: say `soft`, `hard` or `erase`.");
}

#[test]
fn a_tag_that_no_answer_could_have_is_a_422() {
    let long = "x".repeat(257);
    for (tag, shown) in [("", ""), ("a\\tb", "a\tb"), ("caf\u{e9}", "caf\u{e9}"), (&long, &long[..200])] {
        let sentence = format!("Tag `{shown}` is not 1 to 256 printable ASCII characters.");
        check(&format!(r#"{{"mode":"hard","all":true,"tags":["a","{tag}"]}}"#), 422, &sentence);
    }
}

#[test]
fn a_purge_of_nothing_is_a_422() {
    let nothing = "It names nothing: give `keys`, `routes`, `tags`, `classes`, `urls`, or `\"all\": true`.";
    for body in [
        r#"{"mode":"hard"}"#,
        r#"{"mode":"hard","all":false}"#,
        r#"{"mode":"hard","keys":[],"routes":[],"classes":[],"urls":[],"tags":[]}"#,
    ] {
        check(body, 422, nothing);
    }
}

#[test]
fn a_name_that_does_not_exist_refuses_the_whole_purge() {
    let unknown = |word: &str, name: &str| format!("{word} `{name}` is not known.");
    for name in ["opz", "OPS", "op", "", "*", "../ops", "ops "] {
        check(&format!(r#"{{"mode":"hard","routes":["ops","{name}"]}}"#), 422, &unknown("Route", name));
    }
    for name in ["near", "near_real_tim", "*"] {
        check(&format!(r#"{{"mode":"hard","classes":["{name}","near_real_time"]}}"#), 422, &unknown("Class", name));
    }
    for name in ["dashboard:tile:ops:v2", "dashboard:tile:ops", "shop.test/dashboard:tile:ops:v1", "dashboard:tile:*"] {
        check(&format!(r#"{{"mode":"hard","all":true,"keys":["{name}"]}}"#), 422, &unknown("Key", name));
    }
    check(&format!(r#"{{"mode":"hard","routes":["{}"]}}"#, "x".repeat(300)), 422, &unknown("Route", &"x".repeat(200)));
}

#[test]
fn what_is_never_stored_cannot_be_purged() {
    for class in ["real_time", "bypass"] {
        let sentence = format!("Class `{class}` is never stored, so there is nothing to purge.");
        check(&format!(r#"{{"mode":"hard","classes":["{class}"]}}"#), 422, &sentence);
    }
    for route in ["realtime_sla", "exports"] {
        let sentence = format!("Route `{route}` is never stored, so there is nothing to purge.");
        check(&format!(r#"{{"mode":"hard","routes":["{route}"]}}"#), 422, &sentence);
    }
    for url in ["/api/realtime/sla", "/api/unknown", "/healthz", "/cache/purge", "/", "/api/dashboard/tiles/ops/"] {
        let sentence = format!("URL `{url}` is never stored, so there is nothing to purge.");
        check(&format!(r#"{{"mode":"hard","urls":["{OPS}","{url}"]}}"#), 422, &sentence);
    }
}

#[test]
fn a_key_without_its_parameters_is_a_422_that_names_the_route() {
    for key in [
        "dashboard:trends:revenue:v1",
        "dashboard:trends:revenue:v1?",
        "dashboard:trends:revenue:v1?days=31",
        "dashboard:trends:revenue:v1?days",
        "dashboard:trends:revenue:v1?days=30&days=90",
        "dashboard:trends:revenue:v1?days=30&x=1",
        "dashboard:trends:revenue:v1?DAYS=30",
    ] {
        let sentence = format!(
            "Key `{key}` does not have the parameters of route `trends_revenue`; purge the route to reach all of its keys."
        );
        check(&format!(r#"{{"mode":"hard","keys":["{key}"]}}"#), 422, &sentence);
    }
    let sentence = "Key `dashboard:tile:ops:v1?days=30` does not have the parameters of route `ops`; purge the route to reach all of its keys.";
    check(r#"{"mode":"hard","keys":["dashboard:tile:ops:v1?days=30"]}"#, 422, sentence);
}

#[test]
fn a_url_that_no_request_could_have_is_a_422() {
    for (url, sentence) in [
        ("api/dashboard/tiles/ops", "The URL is not an http or https URL with a host."),
        ("ftp://dash.test/api/dashboard/tiles/ops", "The URL is not an http or https URL with a host."),
        ("https://other.test/api/dashboard/tiles/ops", "It is of a host that this deployment does not serve."),
        ("/api//dashboard/tiles/ops", "The path has an empty segment (two slashes in a row)."),
        ("/api/x/../dashboard/tiles/ops", "The path has a `.` or `..` segment."),
        (
            "/api/dashboard/tiles/*?x#y",
            "The URL has a character that must be percent-encoded, a backslash, or a fragment.",
        ),
        ("/api/dashboard/tiles/ops?x=1", "Query parameter `x` is not known on this route."),
        ("/api/dashboard/trends/revenue?days=1", "Parameter `days` has a value that this route does not accept."),
        ("/api/dashboard/trends/revenue?days=30&days=30", "Query parameter `days` is given twice."),
    ] {
        check(&format!(r#"{{"mode":"hard","urls":["{url}"]}}"#), 422, &format!("URL `{url}`: {sentence}"));
    }
}

#[test]
fn another_tenant_is_a_422() {
    for tenant in ["other.test", "", "*.test", "SHOP.test"] {
        let body = format!(r#"{{"mode":"hard","all":true,"tenant":"{tenant}"}}"#);
        check(&body, 422, "`tenant` is not one of this deployment.");
    }
}

#[test]
fn more_than_a_thousand_things_are_a_422() {
    let body = |count: usize| {
        let names = vec!["\"ops\""; count].join(",");
        format!(r#"{{"mode":"hard","routes":[{names}],"classes":["near_real_time"]}}"#)
    };
    check(&body(1000), 422, "It names 1001 things; 1000 is the most.");
    let location = Location::new(&World::new());
    assert_eq!(ask(&location, Asking::purge(body(999))).status, 202);
}

#[test]
fn a_body_over_64_kib_is_a_413_declared_or_not() {
    let sentence = "The body has at most 65536 bytes.";
    let purge = |length: usize| {
        let rest = r#"{"mode":"hard","all":true}"#;
        format!("{rest}{}", " ".repeat(length - rest.len()))
    };
    check_request(Asking::purge(purge(65_537)), 413, sentence);
    let small = r#"{"mode":"hard","all":true}"#;
    check_request(Asking::purge(small).with("content-length", "65537"), 413, sentence);
    // A length that is no number says nothing, so the real one counts.
    check_request(Asking::purge(purge(65_537)).with("content-length", "1"), 413, sentence);
    check_request(Asking::purge(purge(65_537)).with("content-length", "99999999999999999999999"), 413, sentence);
    let largest = Asking::purge(purge(65_536)).with("content-length", "65536");
    assert_eq!(ask(&Location::new(&World::new()), largest).status, 202);
}

#[test]
fn a_body_that_is_cut_short_is_a_400() {
    let purge = Asking { content: Content::Cut, ..Asking::purge("") };
    check_request(purge, 400, "The body did not arrive whole.");
}
