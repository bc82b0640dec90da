//! Settings that are missing or malformed: one sentence in every answer and in the log, and no secret in either.

use std::time::Duration;

use lab::client::Call;
use lab::harness::{OPERATOR_TOKEN, ORIGIN_SECRET, Options};
use lab::stored::SALES;

/// SHA-256 of the operator's token, as it is configured.
const DIGEST: &str = "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1d";

/// Every answer says the same one sentence, which begins with the setting's name.
#[track_caller]
fn says(options: Options, name: &str, secret: &str) {
    let edge = options.start();
    let health = edge.get("/healthz").expect(503).field("Cache-Control", "no-store").origin_requests(0).json();
    assert_eq!(health["status"], "misconfigured", "{health}");
    let sentence = health["detail"].as_str().expect("a sentence").to_owned();
    assert!(sentence.contains(name) && sentence.ends_with('.'), "{name}: {sentence}");
    assert!(edge.workerd.wait_for_log(&sentence, Duration::from_secs(5)), "{}", edge.workerd.log());
    let purge = Call::new("POST", "/cache/purge").field("Authorization", format!("Bearer {OPERATOR_TOKEN}")).body("{}");
    for call in
        [Call::get(SALES), Call::get("/api/realtime/sla"), Call::get("/nowhere"), purge, Call::new("HEAD", SALES)]
    {
        let answer = edge.send(&call).expect(500).field("Cache-Control", "no-store").origin_requests(0);
        assert_eq!(answer.field("Content-Type"), Some("application/problem+json"));
        if answer.body.is_empty() {
            continue;
        }
        assert_eq!(
            (answer.json()["status"].as_u64(), answer.json()["detail"].as_str()),
            (Some(500), Some(sentence.as_str()))
        );
    }
    let head = edge.send(&Call::new("HEAD", "/healthz")).expect(503).body("").origin_requests(0);
    assert_eq!(head.field("Content-Type"), Some("application/json"));
    // Once in each isolate, however many ask; there is one. What is logged arrives in order.
    let said = edge.workerd.log().matches(&sentence).count();
    assert_eq!(said, 1, "{}", edge.workerd.log());
    for kept in [ORIGIN_SECRET, DIGEST, secret].into_iter().filter(|text| !text.is_empty()) {
        assert!(!edge.workerd.log().contains(kept) && !sentence.contains(kept), "{name} tells a secret");
    }
}

#[test]
fn a_missing_setting_is_named() {
    for name in ["ACCESS_MODE", "TENANT", "ORIGIN", "HOSTS", "OPERATOR_TOKENS_SHA256", "ORIGIN_SECRET"] {
        says(Options::built().without_var(name), name, "");
    }
    says(Options::built().var("ORIGIN_SECRET", " "), "ORIGIN_SECRET", "");
    let in_mode = |mode: &str, settings: &[(&str, &str)]| {
        let all =
            settings.iter().fold(Options::built().var("ACCESS_MODE", mode), |all, (name, value)| all.var(name, value));
        all.without_var("TENANT")
    };
    let session = [("SESSION_SECRETS", "the-secret-of-the-app"), ("SESSION_AUDIENCE", "key")];
    let access =
        [("ACCESS_TEAM", "https://team.test"), ("ACCESS_AUDIENCE", "tag"), ("ACCESS_TENANTS", r#"{"claim":"shop"}"#)];
    for (mode, settings) in [("session", &session[..]), ("access", &access[..])] {
        for (name, _) in settings {
            says(in_mode(mode, settings).without_var(name), name, "the-secret-of-the-app");
        }
    }
}

#[test]
fn a_missing_binding_is_named() {
    for name in ["KV", "LEDGER"] {
        says(Options::built().without_binding(name), name, "");
        says(Options::built().without_binding(name).var(name, "a text, not a binding"), name, "");
    }
}

#[test]
fn a_malformed_setting_is_named_and_a_secret_is_not_repeated() {
    for (name, value) in [
        ("ACCESS_MODE", "Session"),
        ("ACCESS_MODE", "OPEN"),
        ("TENANT", "Not A Host"),
        ("ORIGIN", "127.0.0.1:8788"),
        ("ORIGIN", "https://user:password@api.example"),
        ("ORIGIN", "https://api.example/path"),
        ("ORIGIN", "file:///etc/passwd"),
        ("HOSTS", "https://edge.example"),
        ("HOSTS", "*"),
    ] {
        says(Options::built().var(name, value), name, "password");
    }
    for (name, value) in [
        ("OPERATOR_TOKENS_SHA256", "a-token-in-clear"),
        ("OPERATOR_TOKENS_SHA256", "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1"),
        ("ORIGIN_SECRET", "two words"),
        ("ORIGIN_SECRET", "two\nlines"),
        ("ORIGIN_SECRET", "gehe\u{ed}m"),
    ] {
        says(Options::built().var(name, value), name, value);
    }
}

#[test]
fn the_health_of_a_good_deployment_tells_no_setting() {
    let edge = Options::built().start();
    let case =
        edge.get("/healthz").expect(200).field("Content-Type", "application/json").field("Cache-Control", "no-store");
    let health = case.origin_requests(0);
    assert_eq!(
        (health.json()["status"].as_str(), health.json()["incidents"].to_string()),
        (Some("ok"), "{}".to_owned())
    );
    for setting in [ORIGIN_SECRET, DIGEST, "myshopify", &edge.origin.address().to_string()] {
        assert!(!health.text().contains(setting) && !edge.workerd.log().contains(setting), "{setting}");
    }
}
