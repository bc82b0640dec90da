//! The harness shown on the probe: the process, its bindings, its storage, and the rule of the origin's count.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lab::client::Call;
use lab::harness::{OPERATOR_TOKEN, ORIGIN_SECRET, Options};
use lab::origin::Answer;
use lab::secrets::EMAIL;

/// An edge that runs the probe instead of the built Worker.
pub fn probe() -> Options {
    Options::script(include_str!("probe.mjs"))
}

#[test]
fn a_request_goes_to_the_origin_and_back() {
    let edge = probe().start();
    edge.origin.answer("/api/a", Answer::tile("first"));
    edge.get("/api/a?x=1").expect(200).says("first").field("X-Edge", "passed").origin_requests(1);
    assert_eq!((edge.origin.count("/api/a"), edge.origin.count("/api/a?x=1"), edge.origin.count("/api/b")), (1, 1, 0));
    edge.get("/url").expect(200).origin_requests(0);
}

#[test]
#[should_panic(expected = "does not say how many requests the origin saw")]
fn a_case_without_the_origins_count_fails() {
    let edge = probe().start();
    let _forgotten = edge.get("/url").expect(200);
}

#[test]
#[should_panic(expected = "requests at the origin: [\"GET /api/a\"]")]
fn a_case_with_a_wrong_count_fails() {
    let edge = probe().start();
    edge.origin.answer("/api/a", Answer::tile("first"));
    edge.get("/api/a").expect(200).origin_requests(0);
}

#[test]
fn variables_and_bindings_can_be_changed_and_left_out() {
    let ordinary = probe().start();
    let call = Call::get("/vars").field("X-Token", OPERATOR_TOKEN);
    let said = ordinary.send(&call).expect(200).origin_requests(0).json();
    assert_eq!(said["vars"]["OPERATOR_TOKENS_SHA256"], said["hex"]);
    assert_eq!(said["vars"]["ORIGIN"], format!("http://{}", ordinary.origin.address()));

    let changed = probe()
        .var("TENANT", "a \"b\" \\ é")
        .without_var("ORIGIN_SECRET")
        .without_binding("KV")
        .without_binding("LEDGER");
    let changed = changed.start();
    let vars = changed.get("/vars").expect(200).origin_requests(0).json()["vars"].clone();
    assert_eq!(vars["TENANT"], "a \"b\" \\ é");
    assert!(said["vars"].get("ORIGIN_SECRET").is_some() && vars.get("ORIGIN_SECRET").is_none(), "{vars}");
    assert!(vars.get("KV").is_none() && vars.get("LEDGER").is_none(), "{vars}");
}

#[test]
fn compatibility_flags_are_in_force() {
    for (options, navigator) in [(probe(), "object"), (probe().flag("no_global_navigator"), "undefined")] {
        let edge = options.start();
        assert_eq!(edge.get("/vars").expect(200).origin_requests(0).json()["navigator"], navigator);
    }
}

#[test]
fn a_durable_object_keeps_its_rows_over_a_restart() {
    let mut edge = probe().start();
    edge.get("/ledger").expect(200).body("1").origin_requests(0);
    edge.get("/ledger").expect(200).body("2").origin_requests(0);
    let pid = edge.workerd.pid();
    edge.workerd.restart();
    assert_ne!(edge.workerd.pid(), pid);
    edge.get("/ledger").expect(200).body("3").origin_requests(0);
}

#[test]
fn the_log_holds_what_the_worker_says() {
    let edge = probe().start();
    edge.send(&Call::get("/log").field("X-Say", "a word for the log")).expect(200).origin_requests(0);
    assert!(edge.workerd.wait_for_log("a word for the log", Duration::from_secs(5)), "{}", edge.workerd.log());
}

#[test]
fn a_log_that_tells_a_secret_or_a_credential_fails_the_test() {
    for told in [ORIGIN_SECRET, "Authorization: Bearer x", "eyJhbGciOiJub25lIn0.e30.", EMAIL] {
        let edge = probe().start();
        edge.send(&Call::get("/log").field("X-Say", told)).expect(200).origin_requests(0);
        assert!(edge.workerd.wait_for_log(told, Duration::from_secs(5)), "{}", edge.workerd.log());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(edge))).is_err(), "{told}");
    }
}
