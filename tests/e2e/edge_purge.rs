//! Purges by the real ledger: the next request asks the origin, whichever store still holds the old answer.

use lab::harness::{OPERATOR_TOKEN, Options, TENANT};
use lab::purge::purge_call;
use lab::stored::{OPS, OPS_KEY, SALES, SALES_KEY, SEGMENTS, SEGMENTS_KEY, all_kept};
use serde_json::json;

#[test]
fn a_purge_reaches_what_it_names_and_nothing_else() {
    let edge = Options::built().short_snapshots().start();
    let purges = [
        json!({"keys": [SALES_KEY]}),
        json!({"routes": ["sales_pulse"]}),
        json!({"urls": [SALES]}),
        json!({"urls": [format!("https://localhost{SALES}?utm_source=x")]}),
        json!({"keys": [SALES_KEY], "routes": ["cx"], "classes": ["comparison"], "urls": ["/api/dashboard/alerts/all"]}),
    ];
    edge.fill(OPS, OPS_KEY, "untouched");
    edge.fill(SEGMENTS, SEGMENTS_KEY, "untouched");
    let mut old = "old".to_owned();
    edge.fill(SALES, SALES_KEY, &old);
    for mut purge in purges {
        purge["mode"] = "hard".into();
        edge.is_hit(SALES, &old);
        edge.purge(&purge);
        assert!(edge.in_cache(SALES_KEY).is_some() && edge.in_kv(SALES_KEY).is_some(), "nothing relies on deletion");
        old = edge.is_gone(SALES, SALES_KEY);
        edge.is_hit(OPS, "untouched");
        edge.is_hit(SEGMENTS, "untouched");
    }
}

#[test]
fn a_class_and_all_of_a_tenant_are_purged_whole() {
    let edge = Options::built().short_snapshots().start();
    let routes = all_kept();
    for kept in &routes {
        edge.fill(&kept.target, &kept.key, "old");
    }
    edge.purge(&json!({"mode": "hard", "classes": ["near_real_time"]}));
    let (purged, left): (Vec<_>, Vec<_>) = routes.iter().partition(|kept| kept.class == "near_real_time");
    assert!(purged.len() >= 9 && left.len() >= 12);
    for kept in left {
        edge.is_hit(&kept.target, "old");
    }
    for kept in purged {
        edge.is_gone(&kept.target, &kept.key);
    }
    edge.purge(&json!({"mode": "hard", "all": true, "tenant": TENANT}));
    for kept in &routes {
        edge.get(&kept.target).expect(200).fwd("uri-miss").detail("purged").origin_requests(1);
    }
}

#[test]
fn a_key_with_a_parameter_leaves_its_neighbour() {
    let edge = Options::built().short_snapshots().start();
    let path = "/api/dashboard/trends/revenue";
    let (thirty, ninety) = (format!("{path}?days=30"), format!("{path}?days=90"));
    edge.fill(&thirty, "dashboard:trends:revenue:v1?days=30", "thirty");
    edge.fill(&ninety, "dashboard:trends:revenue:v1?days=90", "ninety");
    // A path without the parameter is the one with its default.
    edge.purge(&json!({"mode": "hard", "urls": [path]}));
    edge.is_hit(&ninety, "ninety");
    let refilled = edge.is_gone(&thirty, "dashboard:trends:revenue:v1?days=30");
    edge.purge(&json!({"mode": "hard", "keys": ["dashboard:trends:revenue:v1?days=90"]}));
    edge.is_hit(&thirty, &refilled);
    edge.is_gone(&ninety, "dashboard:trends:revenue:v1?days=90");
    edge.purge(&json!({"mode": "hard", "routes": ["trends_revenue"]}));
    edge.is_gone(&thirty, "dashboard:trends:revenue:v1?days=30");
    edge.is_gone(&ninety, "dashboard:trends:revenue:v1?days=90");
}

#[test]
fn a_purge_is_confirmed_with_what_it_did_and_positions_rise() {
    let edge = Options::built().short_snapshots().start();
    let mut last = 0;
    for _ in 0..3 {
        let confirmed =
            edge.purge(&json!({"mode": "hard", "routes": ["ops"], "keys": [SALES_KEY], "classes": ["aggregate"]}));
        assert_eq!((&confirmed["tenant"], &confirmed["mode"]), (&json!(TENANT), &json!("hard")));
        let purged = json!({"classes": ["aggregate"], "routes": ["ops"], "keys": [SALES_KEY]});
        assert_eq!(confirmed["purged"], purged);
        let epoch = confirmed["epoch"].as_u64().expect("a position");
        assert!(epoch > last, "{epoch} after {last}");
        last = epoch;
    }
}

#[test]
fn a_purge_outlives_the_process() {
    let mut edge = Options::built().short_snapshots().start();
    edge.fill(SALES, SALES_KEY, "old");
    edge.fill(OPS, OPS_KEY, "kept");
    edge.purge(&json!({"mode": "hard", "keys": [SALES_KEY]}));
    edge.workerd.restart();
    edge.is_hit(OPS, "kept");
    let refilled = edge.is_gone(SALES, SALES_KEY);
    edge.workerd.restart();
    edge.is_hit(SALES, &refilled);
    // A route's purge takes the place of its keys' on disk, and both still hold.
    edge.purge(&json!({"mode": "hard", "routes": ["sales_pulse", "ops"]}));
    edge.workerd.restart();
    edge.is_gone(SALES, SALES_KEY);
    edge.is_gone(OPS, OPS_KEY);
}

#[test]
fn a_ledger_that_lost_its_memory_brings_nothing_back() {
    let mut edge = Options::built().short_snapshots().start();
    edge.fill(SALES, SALES_KEY, "purged");
    edge.fill(OPS, OPS_KEY, "older");
    edge.purge(&json!({"mode": "hard", "keys": [SALES_KEY]}));
    edge.workerd.restart_without_objects();
    edge.snapshots_expire();
    edge.is_gone(SALES, SALES_KEY);
    // It cannot know what else was purged.
    let refilled = edge.is_gone(OPS, OPS_KEY);
    edge.is_hit(OPS, &refilled);
}

#[test]
fn several_tokens_are_valid_while_one_is_rotated_out() {
    // SHA-256 of `one` and of `two`.
    let one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    let two = "3FC4CCFE745870E2C0D99F71F30FF0656C8DEDD41CC1D7D3D376B0DBE685E2F3";
    let edge = Options::built().var("OPERATOR_TOKENS_SHA256", &format!("{one}, {two}"));
    let edge = edge.short_snapshots().start();
    let body = json!({"mode": "hard", "all": true});
    for token in ["one", "two"] {
        edge.fill(SALES, SALES_KEY, "old");
        edge.purge_by(token, &body);
        edge.is_gone(SALES, SALES_KEY);
        edge.purge_by(token, &body);
    }
    for token in ["three", one, two, OPERATOR_TOKEN, ""] {
        edge.send(&purge_call(token, body.to_string())).problem(401).origin_requests(0);
    }
}
