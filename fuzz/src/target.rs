//! The URL of a request: path, query, key, and what the origin is asked for. A second line is another URL.

use hotrod_edge::classify::{Classified, classify};
use hotrod_edge::epoch::Scope;
use hotrod_edge::key::{CacheKey, Tenant};
use hotrod_edge::purge;
use hotrod_edge::target::Target;
use serde_json::{Value, json};

use crate::{TENANT, config, rules};

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let (first, second) = (read(first), read(second));
    if let (Some(first), Some(second)) = (&first, &second) {
        assert_eq!(first.key == second.key, first.url == second.url, "{first:?} and {second:?}");
    }
    for Asked { key, url } in [first, second].into_iter().flatten() {
        let again = read(&url).expect("what the origin is asked for is a request for the same");
        assert_eq!((again.key, again.url), (key.clone(), url.clone()));
        // Whoever knows the key, and whoever knows the URL, can purge exactly this.
        for (member, name) in [("keys", key.logical()), ("urls", url.trim_start_matches(ORIGIN))] {
            assert_eq!(purged(&json!({ "mode": "hard", member: [name] })), key.logical(), "{member}: {name}");
        }
    }
}

const ORIGIN: &str = "https://origin.test";

#[derive(Debug)]
struct Asked {
    key: CacheKey,
    url: String,
}

/// A request for a stored route.
fn read(url: &str) -> Option<Asked> {
    let target = Target::parse(url).ok()?;
    // The runtime reads what it is given to fetch once more. It must find nothing to mend.
    let mended = url::Url::parse(&format!("{ORIGIN}{}", target.path)).expect("a path on a host is a URL");
    assert_eq!(mended.path(), target.path);
    let Classified::Stored(selected) = classify(rules(), "GET", &target) else { return None };
    let tenant = Tenant::new(TENANT).expect("a tenant");
    let key = CacheKey::new(&tenant, &selected.key, None);
    assert_eq!(format!("{}/{}", key.tenant(), key.logical()), key.as_str());
    let url = format!("{ORIGIN}{}{}", target.path, selected.query);
    assert_eq!(url::Url::parse(&url).expect("a URL").as_str(), url);
    Some(Asked { key, url })
}

/// The one key that a purge names.
fn purged(body: &Value) -> String {
    let requested = purge::read(body.to_string().as_bytes(), rules(), config()).expect("a purge");
    let mut scopes = requested.scopes.iter();
    let (Some(Scope::Key { key, .. }), None) = (scopes.next(), scopes.next()) else {
        panic!("{body} purges one key");
    };
    key.clone()
}
