//! What is written for people and for wrangler agrees with what the Worker does.

use hotrod_edge::cache_control::{Audience, emit};
use hotrod_edge::names::setting;
use hotrod_edge::rules::{Policy, compiled};

const README: &str = include_str!("../../README.md");
const SECURITY: &str = include_str!("../../SECURITY.md");
const WRANGLER: &str = include_str!("../../wrangler.toml");

/// The rows of the first table under a heading of the README, cell by cell, without header and rule.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = README.split(&format!("## {heading}\n")).nth(1).expect("the README has the section");
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
    rows.skip(2).map(cells).collect()
}

#[test]
fn the_readme_lists_what_each_class_emits() {
    let expected: Vec<Vec<String>> = compiled()
        .classes
        .iter()
        .map(|class| {
            let (emitted, kept) = match &class.policy {
                Policy::Live => ("`no-store`".to_string(), "never".to_string()),
                Policy::Bypass => ("the origin's, or `no-store` if it has none".to_string(), "never".to_string()),
                Policy::Origin(_) => ("the origin's".to_string(), "as the origin says".to_string()),
                Policy::Store(lifetimes) => {
                    let emitted = emit(Audience::Public, lifetimes, lifetimes.s_maxage);
                    (format!("`{emitted}`"), format!("{} s", lifetimes.s_maxage))
                }
            };
            vec![format!("`{}`", class.name), emitted, kept]
        })
        .collect();
    assert_eq!(table("What is emitted"), expected);
}

#[test]
fn the_readme_lists_every_setting_and_binding() {
    let listed: String = table("Configuration").concat().concat();
    let names = [
        setting::ACCESS_MODE,
        setting::TENANT,
        setting::SESSION_SECRETS,
        setting::SESSION_AUDIENCE,
        setting::ACCESS_TEAM,
        setting::ACCESS_AUDIENCE,
        setting::ACCESS_TENANTS,
        setting::CORS_ORIGINS,
        setting::ORIGIN,
        setting::ORIGIN_CONCURRENCY,
        setting::HOSTS,
        setting::OPERATOR_TOKENS_SHA256,
        setting::PURGE_TOKENS,
        setting::ORIGIN_SECRET,
        setting::EPOCH_SECRET,
        setting::WEBHOOKS,
        setting::ZONE_ID,
        setting::ZONE_TOKEN,
        setting::ZONE_API,
        setting::SNAPSHOT_AT_MOST_MS,
        setting::MEMORY_BYTES,
        setting::KV,
        setting::LEDGER,
    ];
    for name in names {
        assert!(listed.contains(&format!("`{name}`")), "{name}");
    }
}

/// What stands under a test folder, as text.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).expect("a folder of tests") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        if path.is_dir() {
            text += &sources(&format!("{folder}/{}", entry.file_name().to_str().expect("a plain name")));
        } else {
            text += &std::fs::read_to_string(&path).unwrap_or_default();
        }
    }
    text
}

#[test]
fn every_threat_names_a_test_and_every_test_is_there() {
    let tests = sources("tests");
    let cases = std::fs::read_to_string(format!("{}/tests/e2e/attacks/cases.txt", env!("CARGO_MANIFEST_DIR")));
    let cases = cases.expect("the list of attacks");
    let rows = SECURITY.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut count = 0;
    for row in rows {
        let named = row.trim_end_matches('|').rsplit('|').next().expect("three cells").split_whitespace();
        let before = count;
        for name in named {
            count += 1;
            match name.trim_matches('`').rsplit_once("::") {
                Some((_, function)) => assert!(tests.contains(&format!("fn {function}()")), "{name}"),
                None => assert!(cases.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}"),
            }
        }
        assert!(count > before, "{row}");
    }
    assert!(count > 60, "{count}");
}

#[test]
fn wrangler_binds_what_the_worker_asks_for_and_publishes_nothing_by_itself() {
    let wrangler: toml::Table = WRANGLER.parse().expect("wrangler.toml is TOML");
    for name in [setting::ACCESS_MODE, setting::TENANT, setting::ORIGIN, setting::HOSTS] {
        assert!(wrangler["vars"].get(name).is_some(), "{name}");
    }
    assert_eq!(wrangler["kv_namespaces"][0]["binding"].as_str(), Some(setting::KV));
    assert_eq!(wrangler["durable_objects"]["bindings"][0]["name"].as_str(), Some(setting::LEDGER));
    assert_eq!(wrangler["workers_dev"].as_bool(), Some(false));
    assert_eq!(wrangler["preview_urls"].as_bool(), Some(false));
    let environments = wrangler.get("env").and_then(toml::Value::as_table).into_iter().flatten();
    for (name, environment) in environments {
        // Variables are not inherited.
        let has = |setting: &str| environment.get("vars").is_some_and(|vars| vars.get(setting).is_some());
        assert!(has(setting::HOSTS) && has(setting::ACCESS_MODE), "{name} says whom it serves, and under which hosts");
        for setting in ["workers_dev", "preview_urls"] {
            assert_ne!(environment.get(setting).and_then(toml::Value::as_bool), Some(true), "{name}: {setting}");
        }
    }
}

#[test]
fn what_is_said_of_the_cache_suite_is_what_it_said() {
    let (is, says) = lab::conformance::document().unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(is, says, "`cargo xtask conformance --accept` writes CONFORMANCE.md");
}
