//! Wrong rules: each is refused with its line, its rule and a sentence that says what would be right.

mod access;
mod limits;
mod touches;

use hotrod_edge::rules::{compiled, load};

/// A file with one class of each policy and one route, in which nothing is wrong.
const GOOD: &str = r#"origin_prefixes = ["/api/"]
dropped_parameters = ["_"]
[[class]]
name = "near"
s_maxage = 300
max_age = 60
stale_while_revalidate = 300
ceiling = 600
snapshot_isolate = 1
snapshot_bound = 60
[[class]]
name = "live"
policy = "live"
[envelope.tile]
require = { member = "status", equals = "ok" }
volatile = ["data.at"]
[[route]]
name = "ops"
path = "/api/ops"
class = "near"
key = "d:ops:v1"
hot = true
envelope = "tile"
query = { days = { values = ["30", "90"], default = "30" } }
[[event]]
name = "order"
routes = ["ops"]
"#;

fn messages(text: &str) -> Vec<String> {
    load("rules.toml", text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// The good file with one text in the place of another.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// What is wrong with the good file after one change, all of it.
#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(messages(&changed(from, to)), expected);
}

/// What is wrong with the good file and something behind it.
#[track_caller]
fn check_added(more: &str, expected: &[&str]) {
    assert_eq!(messages(&format!("{GOOD}{more}")), expected);
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(messages(GOOD), [""; 0]);
}

#[test]
fn the_repositorys_rules_are_the_compiled_ones() {
    let text = include_str!("../../rules.toml");
    assert_eq!(load("rules.toml", text).as_ref(), Ok(compiled()));
}

#[test]
fn what_is_not_toml_or_not_of_the_shape_is_refused_at_its_line() {
    check("s_maxage = 300", "s_maxage = ", &["rules.toml:5: string values must be quoted, expected literal string"]);
    check(
        "max_age = 60",
        "maxage = 60",
        &["rules.toml:6: unknown field `maxage`, expected one of `name`, `policy`, `s_maxage`, `max_age`, \
           `stale_while_revalidate`, `stale_if_error`, `soft_window`, `ceiling`, `calendar`, `without_ledger`, `snapshot_isolate`, \
           `snapshot_bound`, `snapshot_behind`, `response_fields`, `value`, `first_byte_timeout`, `between_bytes_timeout`, \
           `total_timeout`, `largest_body`, `memory_percent`, `lease`"],
    );
    check("max_age = 60", "max_age = -1", &["rules.toml:6: invalid value: integer `-1`, expected u32"]);
    check("hot = true", "hot = \"yes\"", &["rules.toml:22: invalid type: string \"yes\", expected a boolean"]);
    check("origin_prefixes = [\"/api/\"]\n", "", &["rules.toml:1: missing field `origin_prefixes`"]);
}

#[test]
fn a_wrong_prefix_or_dropped_parameter_is_refused() {
    check(
        "[\"/api/\"]",
        "[\"/api/\", \"/x\"]",
        &["rules.toml:1: origin_prefixes: `/x` must begin and end with a slash"],
    );
    check(
        "[\"_\"]",
        "[\"_\",\n \"nocache\"]",
        &["rules.toml:3: dropped_parameters: `nocache` is the edge's own parameter"],
    );
}

#[test]
fn a_wrong_class_is_refused() {
    check_added(
        "[[class]]\nname = \"near\"\ns_maxage = 1\nsnapshot_isolate = 0\nsnapshot_bound = 1\n",
        &["rules.toml:29: class `near`: this name is taken by a class above"],
    );
    check(
        "policy = \"live\"",
        "policy = \"fresh\"",
        &["rules.toml:13: class `live`: policy `fresh` is not known: say `store`, `origin`, `live` or `bypass`"],
    );
    check("s_maxage = 300\n", "s_maxage = 300\ns_maxage = 1\n", &["rules.toml:6: duplicate key"]);
    check(
        "max_age = 60",
        "max_age = 301",
        &["rules.toml:4: class `near`: max_age = 301 is over s_maxage = 300: the browser would outlive the edge"],
    );
    check(
        "ceiling = 600",
        "ceiling = 599",
        &["rules.toml:4: class `near`: s_maxage = 300 and stale_while_revalidate = 300 together are over the class's \
           ceiling of 599 s"],
    );
    check(
        "ceiling = 600",
        "calendar = \"week\"",
        &[
            "rules.toml:8: class `near`: calendar `week` is not known: say `day`, which includes the first of each month",
        ],
    );
    check(
        "ceiling = 600",
        "without_ledger = \"guess\"",
        &["rules.toml:8: class `near`: without_ledger `guess` is not known: say `forward` or `serve`"],
    );
}

#[test]
fn a_stored_class_without_a_lifetime_is_refused() {
    check_added(
        "[[class]]\nname = \"empty\"\nsnapshot_isolate = 0\nsnapshot_bound = 1\n",
        &[
            "rules.toml:29: class `empty`: a stored class needs `s_maxage`, its freshness lifetime at the edge in seconds",
        ],
    );
}

#[test]
fn a_stored_class_without_a_bound_for_its_counters_is_refused() {
    for (line, word) in [("snapshot_isolate = 1\n", "snapshot_isolate"), ("snapshot_bound = 60\n", "snapshot_bound")] {
        let sentence =
            format!("rules.toml:4: class `near`: a stored class needs `{word}`, in seconds: purges are promised by it");
        check(line, "", &[&sentence]);
    }
}

#[test]
fn bounds_of_counters_that_contradict_each_other_are_refused() {
    check(
        "snapshot_isolate = 1",
        "snapshot_isolate = 61",
        &["rules.toml:4: class `near`: snapshot_isolate = 61 is over snapshot_bound = 60"],
    );
    check(
        "snapshot_isolate = 1\nsnapshot_bound = 60",
        "snapshot_isolate = 0\nsnapshot_bound = 0",
        &["rules.toml:4: class `near`: snapshot_bound = 0 would ask the ledger for every request: say 1 or more"],
    );
    for behind in [60, 61] {
        let sentence = format!(
            "rules.toml:4: class `near`: snapshot_behind = {behind} is not under snapshot_bound = 60: it would never come \
             to that"
        );
        check("snapshot_bound = 60", &format!("snapshot_bound = 60\nsnapshot_behind = {behind}"), &[&sentence]);
    }
    check("snapshot_isolate = 1", "snapshot_isolate = 60\nsnapshot_behind = 59", &[]);
}

#[test]
fn a_lifetime_or_a_stale_window_on_a_class_that_is_never_stored_is_refused() {
    for (word, policy) in [
        ("s_maxage", "live"),
        ("max_age", "bypass"),
        ("stale_while_revalidate", "live"),
        ("stale_if_error", "live"),
        ("soft_window", "bypass"),
        ("ceiling", "live"),
        ("snapshot_isolate", "live"),
        ("snapshot_bound", "bypass"),
        ("snapshot_behind", "live"),
    ] {
        let sentence = format!(
            "rules.toml:14: class `live`: `{word}` on a class that is never stored: leave it out, or say policy = \"store\""
        );
        check("policy = \"live\"", &format!("policy = \"{policy}\"\n{word} = 60"), &[&sentence]);
    }
}

#[test]
fn a_route_without_a_class_or_a_key_is_refused() {
    check(
        "class = \"near\"\n",
        "",
        &[
            "rules.toml:18: route `ops`: it has no class: name one of [[class]]",
            "rules.toml:26: event `order`: route `ops` is not defined",
        ],
    );
    check(
        "class = \"near\"",
        "class = \"far\"",
        &[
            "rules.toml:20: route `ops`: class `far` is not defined",
            "rules.toml:27: event `order`: route `ops` is not defined",
        ],
    );
    check(
        "key = \"d:ops:v1\"\n",
        "",
        &["rules.toml:18: route `ops`: a stored route needs a key, such as `dashboard:tile:ops:v1`"],
    );
    check(
        "hot = true",
        "policy = \"live\"",
        &["rules.toml:22: route `ops`: a route's policy is that of its class: say policy there"],
    );
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    for key in
        ["d:ops", "d:ops:1", "d:ops:v", "d:ops:vx", "D:ops:v1", "d:o ps:v1", ":ops:v1", "d::ops:v1", "d/ops:v1", ""]
    {
        let sentence = format!(
            "rules.toml:21: route `ops`: key `{key}` must be at most 128 of `a-z0-9:_.-` and end in a version such as `:v1`"
        );
        check("d:ops:v1", key, &[&sentence]);
    }
    let long = format!("{}:v1", "k".repeat(126));
    let sentence = format!(
        "rules.toml:21: route `ops`: key `{long}` must be at most 128 of `a-z0-9:_.-` and end in a version such as `:v1`"
    );
    check("d:ops:v1", &long, &[&sentence]);
}

#[test]
fn two_routes_that_could_be_taken_for_each_other_are_refused() {
    let route = |name: &str, path: &str, key: &str| {
        format!("[[route]]\nname = \"{name}\"\npath = \"{path}\"\nclass = \"near\"\nkey = \"{key}\"\n")
    };
    check_added(
        &route("ops", "/api/x", "d:x:v1"),
        &["rules.toml:29: route `ops`: this name is taken by a route above"],
    );
    check_added(
        &route("two", "/api/two", "d:ops:v1"),
        &[
            "rules.toml:32: route `two`: key `d:ops:v1` is that of route `ops`: two routes with one key would answer for each other",
        ],
    );
    for path in ["/api/ops", "/api/{any}", "/api/{o}ps", "/api/{o}s"] {
        check_added(
            &route("two", path, "d:two:v1"),
            &["rules.toml:30: route `two`: its path overlaps that of route `ops`: a request must have one rule"],
        );
    }
    for path in ["/api/ops/x", "/api/{any}/x", "/api/op", "/api/{any}.csv", "/api/{o}ops"] {
        check_added(&route("two", path, "d:two:v1"), &[]);
    }
    check_added(
        &format!("{}{}", route("a", "/api/x/{p}.csv", "d:a:v1"), route("b", "/api/x/{q}v", "d:b:v1")),
        &["rules.toml:35: route `b`: its path overlaps that of route `a`: a request must have one rule"],
    );
}

#[test]
fn a_path_that_no_request_reaches_is_refused() {
    for path in ["/cache/x", "/healthz", "/cache"] {
        let sentence = format!("rules.toml:19: route `ops`: path `{path}` belongs to the edge itself");
        check("/api/ops", path, &[&sentence]);
    }
    for path in ["/x/ops", "/ap", "/"] {
        let message = messages(&changed("/api/ops", path));
        let sentence = format!(
            "rules.toml:19: route `ops`: path `{path}` is under none of origin_prefixes, so no request would reach it"
        );
        assert_eq!(message.first(), Some(&sentence));
    }
    for segment in ["{}", "{sku", "o%70s", "..", "a b", "{a}{b}", "x{a}", "{a/b}"] {
        let message = messages(&changed("/api/ops", &format!("/api/{segment}")));
        let first = segment.split('/').next().unwrap_or_default();
        let sentence = format!(
            "rules.toml:19: route `ops`: segment `{first}` of path `/api/{segment}` is neither plain text (letters, digits, \
             `-._~`) nor `{{name}}` with an optional ending nor, at the end, `*`"
        );
        assert_eq!(message.first(), Some(&sentence));
    }
}

#[test]
fn what_belongs_to_a_stored_route_is_refused_on_one_that_is_not() {
    for (word, value) in [
        ("key", "\"d:x:v1\""),
        ("hot", "true"),
        ("personal", "true"),
        ("s_maxage", "60"),
        ("query", "{ days = { max_length = 2 } }"),
        ("content_type", "\"text/csv\""),
        ("envelope", "\"tile\""),
        ("volatile", "[\"a\"]"),
        ("tags", "[\"a\"]"),
    ] {
        let route = format!("[[route]]\nname = \"sla\"\npath = \"/api/sla\"\nclass = \"live\"\n{word} = {value}\n");
        let sentence =
            format!("rules.toml:32: route `sla`: `{word}` on a route whose class is never stored: leave it out");
        check_added(&route, &[&sentence]);
    }
}

#[test]
fn a_lifetime_of_a_route_is_held_to_its_class() {
    check(
        "hot = true",
        "hot = true\ns_maxage = 301",
        &["rules.toml:23: route `ops`: s_maxage = 301 and stale_while_revalidate = 300 together are over the class's \
           ceiling of 600 s"],
    );
    let text = changed("stale_while_revalidate = 300\n", "").replacen("hot = true", "hot = true\ns_maxage = 59", 1);
    assert_eq!(
        messages(&text),
        [
            "rules.toml:17: route `ops`: a hot route lives in KV, which keeps nothing for less than 60 s: its lifetime with \
          its stale windows is 59 s"
        ]
    );
    assert_eq!(messages(&text.replace("s_maxage = 59", "s_maxage = 60")), [""; 0]);
}

#[test]
fn an_envelope_or_a_volatile_member_that_is_none_is_refused() {
    check(
        "envelope = \"tile\"",
        "envelope = \"page\"",
        &["rules.toml:23: route `ops`: envelope `page` is not defined"],
    );
    for path in ["", "data..at", "data.at[", "data.[]", "a b"] {
        let sentence = format!(
            "rules.toml:23: route `ops`: volatile `{path}` is not a dotted path such as `data.rows[].generated_at`"
        );
        check("envelope = \"tile\"", &format!("volatile = [\"{path}\"]"), &[&sentence]);
    }
}

#[test]
fn a_parameter_that_is_neither_nominated_nor_dropped_is_refused() {
    let neither = "rules.toml:24: route `ops`: query parameter `days` is neither nominated nor dropped: give it one of \
                   `values`, `integer = [min, max]`, `max_length`, or list it in dropped_parameters";
    for rule in [
        "{}",
        "{ default = \"30\" }",
        "{ values = [] }",
        "{ integer = [2, 1] }",
        "{ max_length = 0 }",
        "{ max_length = 65 }",
        "{ values = [\"1\"], max_length = 3 }",
    ] {
        check("{ values = [\"30\", \"90\"], default = \"30\" }", rule, &[neither]);
    }
}

#[test]
fn a_parameter_that_could_be_taken_for_another_is_refused() {
    check(
        "[\"_\"]",
        "[\"_\", \"days\"]",
        &[
            "rules.toml:24: route `ops`: query parameter `days` is nominated here and dropped in dropped_parameters: it can \
           be one or the other",
        ],
    );
    check("{ days = {", "{ nocache = {", &["rules.toml:24: route `ops`: query parameter `nocache` is the edge's own"]);
    check(
        "{ days = {",
        "{ \"da ys\" = {",
        &["rules.toml:24: route `ops`: query parameter `da ys` is not plain text (letters, digits, `-._~`)"],
    );
    check("/api/ops", "/api/{days}", &["rules.toml:24: route `ops`: parameter `days` is in the path already"]);
    check(
        "[\"30\", \"90\"]",
        "[\"30\", \"9 0\"]",
        &[
            "rules.toml:24: route `ops`: query parameter `days` has a value that would need encoding: only letters, digits \
           and `-._~`",
        ],
    );
    check(
        "default = \"30\"",
        "default = \"31\"",
        &["rules.toml:24: route `ops`: default `31` of query parameter `days` is not among the values that it accepts"],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = changed("max_age = 60", "max_age = 900").replacen("d:ops:v1", "ops", 1).replacen(
        "default = \"30\"",
        "default = \"1\"",
        1,
    );
    assert_eq!(
        messages(&text),
        [
            "rules.toml:4: class `near`: max_age = 900 is over s_maxage = 300: the browser would outlive the edge",
            "rules.toml:21: route `ops`: key `ops` must be at most 128 of `a-z0-9:_.-` and end in a version such as `:v1`",
            "rules.toml:24: route `ops`: default `1` of query parameter `days` is not among the values that it accepts",
        ]
    );
}

#[test]
fn a_key_that_would_be_too_long_with_its_parameters_is_refused() {
    let parameters: Vec<String> = (0..6).map(|number| format!("p{number} = {{ max_length = 64 }}")).collect();
    let route = format!(
        "[[route]]\nname = \"long\"\npath = \"/api/long\"\nclass = \"near\"\nkey = \"a:long:v1\"\nquery = {{ {} }}\n",
        parameters.join(", ")
    );
    let line = GOOD.lines().count() + 2;
    check_added(
        &route,
        &[&format!(
            "rules.toml:{line}: route `long`: its key with its parameters can have 417 bytes; 383 is the most that KV leaves it"
        )],
    );
}

#[test]
fn a_content_type_that_would_turn_checks_off_is_refused() {
    for text in ["Application/JSON", "application/json; charset=utf-8", "json", "text/", ""] {
        let line = 23;
        check(
            "envelope = \"tile\"\n",
            &format!("content_type = \"{text}\"\n"),
            &[&format!(
                "rules.toml:{line}: route `ops`: content_type `{text}` is not a media type in lower case without \
                 parameters, such as `application/json`"
            )],
        );
    }
    check(
        "envelope = \"tile\"\n",
        "envelope = \"tile\"\ncontent_type = \"text/csv\"\n",
        &["rules.toml:18: route `ops`: `envelope` and `volatile` are about JSON, and its content_type is `text/csv`"],
    );
}

#[test]
fn a_class_that_is_never_stored_has_no_calendar_and_no_ledger() {
    for (word, value) in [("calendar", "day"), ("without_ledger", "serve")] {
        check(
            "policy = \"live\"\n",
            &format!("policy = \"live\"\n{word} = \"{value}\"\n"),
            &[&format!(
                "rules.toml:14: class `live`: `{word}` on a class that is never stored: leave it out, or say policy = \
                 \"store\""
            )],
        );
    }
}
