//! Wrong events, writes and tags: what makes something out of date must name what is there, and can be.

use super::{GOOD, changed, check, check_added, messages};
use hotrod_edge::rules::{Effect, Route, Rules, Touches, compiled, load};

/// A route that is written to.
const WRITES: &str = "[[class]]\nname = \"through\"\npolicy = \"bypass\"\n\
                      [[route]]\nname = \"orders\"\npath = \"/api/orders\"\nclass = \"through\"\n";

fn loaded(text: &str) -> Rules {
    load("rules.toml", text).unwrap()
}

#[test]
fn an_event_that_would_do_nothing_is_refused() {
    check(
        "routes = [\"ops\"]",
        "classes = [\"near\"]\n[[event]]\nname = \"nothing\"",
        &["rules.toml:29: event `nothing`: it names no route, class or tag, so it would do nothing"],
    );
    check(
        "routes = [\"ops\"]",
        "routes = [\"ops\", \"opz\"]",
        &["rules.toml:27: event `order`: route `opz` is not defined"],
    );
    check(
        "routes = [\"ops\"]",
        "routes = [\"ops\"]\nclasses = [\"far\"]",
        &["rules.toml:28: event `order`: class `far` is not defined"],
    );
    check(
        "routes = [\"ops\"]",
        "routes = [\"ops\"]\nclasses = [\"live\"]",
        &["rules.toml:28: event `order`: class `live` is never stored, so there is nothing to invalidate"],
    );
    check_added(
        "[[route]]\nname = \"sla\"\npath = \"/api/sla\"\nclass = \"live\"\n[[event]]\nname = \"b\"\nroutes = [\"sla\"]\n",
        &["rules.toml:34: event `b`: route `sla` is never stored, so there is nothing to invalidate"],
    );
    check_added(
        "[[event]]\nname = \"order\"\nroutes = [\"ops\"]\n",
        &["rules.toml:29: event `order`: this name is taken by an event above"],
    );
}

#[test]
fn a_hot_route_that_no_event_invalidates_is_refused() {
    check(
        "[[event]]\nname = \"order\"\nroutes = [\"ops\"]\n",
        "",
        &["rules.toml:18: route `ops`: it is hot, and no event invalidates it: name it in an [[event]]"],
    );
}

#[test]
fn a_hot_route_is_reached_by_its_name_its_class_or_its_tag() {
    let tagged = changed("hot = true", "hot = true\ntags = [\"orders\"]");
    for (reached, touches) in [
        (true, "classes = [\"near\"]"),
        (true, "tags = [\"stock\", \"orders\"]"),
        (false, "tags = [\"stock\"]"),
        (false, "uninstalls = true"),
    ] {
        let messages = messages(&tagged.replacen("routes = [\"ops\"]", touches, 1));
        let sentence =
            "rules.toml:18: route `ops`: it is hot, and no event invalidates it: name it in an [[event]]".to_string();
        assert_eq!(messages, if reached { vec![] } else { vec![sentence] }, "{touches}");
    }
}

#[test]
fn a_tag_that_a_header_could_not_carry_is_refused() {
    let long = "t".repeat(65);
    for tag in ["", "a b", "a,b", "a\\\"b", "a\\\\b", "caf\u{e9}", "a\\tb", &long] {
        let shown = tag.replace("\\\"", "\"").replace("\\\\", "\\").replace("\\t", "\t");
        let sentence = |line: usize, rule: &str| {
            format!(
                "rules.toml:{line}: {rule}: tag `{shown}` is not 1 to 64 printable ASCII characters without space, comma, \
                 quote and backslash"
            )
        };
        check("hot = true", &format!("hot = true\ntags = [\"good\", \"{tag}\"]"), &[&sentence(23, "route `ops`")]);
        let event = format!("routes = [\"ops\"]\ntags = [\"{tag}\"]");
        check("routes = [\"ops\"]", &event, &[&sentence(28, "event `order`")]);
        let line = GOOD.lines().count() + 8;
        check_added(&format!("{WRITES}invalidates = {{ tags = [\"{tag}\"] }}\n"), &[&sentence(line, "route `orders`")]);
    }
    check("hot = true", &format!("hot = true\ntags = [\"{}\", \"!#~:/\"]", "t".repeat(64)), &[]);
}

#[test]
fn a_rule_has_32_tags_at_most() {
    let tags = |count: usize| (0..count).map(|number| format!("\"t{number}\"")).collect::<Vec<_>>().join(", ");
    let route = |count: usize| format!("hot = true\ntags = [{}]", tags(count));
    check("hot = true", &route(32), &[]);
    check("hot = true", &route(33), &["rules.toml:23: route `ops`: it has more than 32 tags"]);
    let event = format!("routes = [\"ops\"]\ntags = [{}]", tags(33));
    check("routes = [\"ops\"]", &event, &["rules.toml:28: event `order`: it has more than 32 tags"]);
}

#[test]
fn a_write_that_would_invalidate_nothing_is_refused() {
    let line = GOOD.lines().count() + 8;
    for (touches, wrong) in [
        ("{}", "`invalidates` names no route, class or tag, so it would do nothing"),
        ("{ routes = [] }", "`invalidates` names no route, class or tag, so it would do nothing"),
        ("{ routes = [\"opz\"] }", "route `opz` is not defined"),
        ("{ routes = [\"orders\"] }", "route `orders` is never stored, so there is nothing to invalidate"),
        ("{ classes = [\"far\"] }", "class `far` is not defined"),
        ("{ classes = [\"live\"] }", "class `live` is never stored, so there is nothing to invalidate"),
    ] {
        let sentence = format!("rules.toml:{line}: route `orders`: {wrong}");
        check_added(&format!("{WRITES}invalidates = {touches}\n"), &[&sentence]);
    }
    check_added(
        &format!("{WRITES}invalidates = {{ route = [\"ops\"] }}\n"),
        &[&format!("rules.toml:{line}: unknown field `route`, expected one of `routes`, `classes`, `tags`")],
    );
}

#[test]
fn invalidates_on_a_route_that_is_not_written_to_is_refused() {
    let wrong = "`invalidates` belongs on a route of a class that is bypassed: what is written to";
    check(
        "hot = true",
        "hot = true\ninvalidates = { routes = [\"ops\"] }",
        &[&format!("rules.toml:23: route `ops`: {wrong}")],
    );
    check_added(
        "[[route]]\nname = \"sla\"\npath = \"/api/sla\"\nclass = \"live\"\ninvalidates = { routes = [\"ops\"] }\n",
        &[&format!("rules.toml:32: route `sla`: {wrong}")],
    );
}

#[test]
fn a_write_touches_what_it_names() {
    let text =
        format!("{GOOD}{WRITES}invalidates = {{ routes = [\"ops\"], classes = [\"near\"], tags = [\"orders\"] }}\n");
    let touches = Touches {
        routes: vec!["ops".into()].into(),
        classes: vec!["near".into()].into(),
        tags: vec!["orders".into()].into(),
    };
    let invalidates = |rules: &Rules, name: &str| rules.route(name).and_then(|route: &Route| route.invalidates.clone());
    assert_eq!(invalidates(&loaded(&text), "orders"), Some(touches));
    assert_eq!(invalidates(&loaded(&text), "ops"), None);
    // An order that is written here does what an order that is reported does.
    let created =
        compiled().events.iter().find(|event| event.name == "order.created").map(|event| event.effect.clone());
    assert_eq!(invalidates(compiled(), "orders").map(Effect::Invalidates), created);
}

#[test]
fn a_topic_that_means_two_events_is_refused() {
    for word in ["shopify", "chatwoot"] {
        let sentence = |line: usize, name: &str| {
            format!("rules.toml:{line}: event `{name}`: {word} topic `a/b` means an event already")
        };
        let first = changed("routes = [\"ops\"]", &format!("routes = [\"ops\"]\n{word} = [\"a/b\"]"));
        let second = format!("{first}[[event]]\nname = \"two\"\nroutes = [\"ops\"]\n{word} = [\"c/d\", \"a/b\"]\n");
        assert_eq!(messages(&second), [sentence(32, "two")]);
        let twice = changed("routes = [\"ops\"]", &format!("routes = [\"ops\"]\n{word} = [\"a/b\", \"a/b\"]"));
        assert_eq!(messages(&twice), [sentence(28, "order")]);
    }
    // Each source has its own topics.
    check("routes = [\"ops\"]", "routes = [\"ops\"]\nshopify = [\"a/b\"]\nchatwoot = [\"a/b\"]", &[]);
}

#[test]
fn an_event_that_uninstalls_names_nothing_besides() {
    let event = "[[event]]\nname = \"gone\"\nuninstalls = true\n";
    for touches in ["routes = [\"ops\"]", "classes = [\"near\"]", "tags = [\"orders\"]"] {
        check_added(
            &format!("{event}{touches}\n"),
            &["rules.toml:29: event `gone`: it uninstalls, which erases everything: it can name nothing besides"],
        );
    }
    check_added(
        &event.replace("true", "false"),
        &["rules.toml:29: event `gone`: it names no route, class or tag, so it would do nothing"],
    );
    let rules = loaded(&format!("{GOOD}{event}shopify = [\"app/uninstalled\"]\n"));
    let gone = rules.events.iter().find(|event| event.name == "gone").unwrap();
    assert_eq!((&gone.effect, gone.shopify.first().map(AsRef::as_ref)), (&Effect::Uninstalls, Some("app/uninstalled")));
}
