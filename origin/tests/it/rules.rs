//! The edge's rules, in so far as the origin must know them: what is stored, and what each event makes out of date.

use std::{collections::BTreeSet, path::Path};

use toml::{Table, Value};

/// `rules.toml`.
pub struct Rules(Table);

impl Rules {
    pub fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules.toml");
        Self(std::fs::read_to_string(file).expect("the rules").parse().expect("TOML"))
    }

    fn entries(&self, kind: &str) -> impl Iterator<Item = &Table> {
        self.0[kind].as_array().expect("a list").iter().filter_map(Value::as_table)
    }

    /// Every route that is stored: its name, and each path with a query that it is stored under.
    pub fn stored(&self) -> Vec<(String, String)> {
        let mut stored = Vec::new();
        for route in self.entries("route").filter(|route| route.contains_key("key")) {
            let (name, path) = (text(&route["name"]), text(&route["path"]));
            match route.get("query").and_then(Value::as_table) {
                None => stored.push((name, path)),
                Some(query) => {
                    assert_eq!(query.len(), 1, "{name}: more parameters need more combinations");
                    for (parameter, rule) in query {
                        let values = list(rule.get("values"));
                        stored.extend(values.iter().map(|value| (name.clone(), format!("{path}?{parameter}={value}"))));
                    }
                }
            }
        }
        stored
    }

    /// The routes that an event makes out of date, by their names, their classes and their tags.
    pub fn touched_by(&self, event: &str) -> BTreeSet<String> {
        let named = |entry: &&Table| text(&entry["name"]) == event;
        let event = self.entries("event").find(named).unwrap_or_else(|| panic!("no rule has the event {event}"));
        let [routes, classes, tags] = ["routes", "classes", "tags"].map(|scope| list(event.get(scope)));
        let touched = self.entries("route").filter(|route| {
            routes.contains(&text(&route["name"]))
                || classes.contains(&text(&route["class"]))
                || list(route.get("tags")).iter().any(|tag| tags.contains(tag))
        });
        touched.map(|route| text(&route["name"])).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn list(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().map(text).collect()
}
