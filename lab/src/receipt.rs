//! Purges in a lab, their receipts, and what is still to do for them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Call, Response};
use crate::harness::OPERATOR_TOKEN;
use crate::locations::{At, Layout};
use crate::purge::purge_call;
use crate::zone::{ZONE, ZONE_TOKEN, Zone};

/// The longest that is waited for what is still to do.
const PATIENCE: Duration = Duration::from_mins(1);

impl Layout {
    /// The deployment purges the caches of this zone.
    pub fn zone(self, zone: &Zone) -> Self {
        self.var("ZONE_ID", ZONE).var("ZONE_TOKEN", ZONE_TOKEN).var("ZONE_API", &zone.url())
    }
}

impl At<'_> {
    /// Purges, and answers the receipt.
    #[track_caller]
    pub fn purge(self, body: &Value) -> Value {
        let answer = self.ask(&purge_call(OPERATOR_TOKEN, body.to_string()));
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()
    }

    /// A receipt as it is now.
    #[track_caller]
    pub fn receipt(self, of: &Value) -> Value {
        let id = of["id"].as_str().expect("the id of a receipt");
        let call = Call::get(format!("/cache/receipts/{id}"));
        let answer = self.ask(&call.field("Authorization", format!("Bearer {OPERATOR_TOKEN}")));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a leg of the receipt is in this state, and answers how often it was tried.
    #[track_caller]
    pub fn wait_for_leg(self, of: &Value, leg: &str, state: &str) -> u64 {
        let until = Instant::now() + PATIENCE;
        loop {
            let receipt = self.receipt(of);
            let found = self::leg(&receipt, leg);
            if found["state"] == state {
                return found["attempts"].as_u64().expect("a number of attempts");
            }
            assert!(Instant::now() < until, "not within {PATIENCE:?}: {leg} {state}: {receipt}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls a ledger itself, past the Worker: `/<call>/<name>/...`.
    #[track_caller]
    pub fn call_ledger(self, path: &str, body: &str) -> Response {
        let answer = self.ask(&Call::new("POST", format!("/test/call{path}")).body(body));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }
}

/// What a receipt says of a leg.
#[track_caller]
pub fn leg<'a>(receipt: &'a Value, leg: &str) -> &'a Value {
    let legs = receipt["legs"].as_array().expect("the legs of a receipt");
    legs.iter().find(|known| known["leg"] == leg).unwrap_or_else(|| panic!("no leg {leg}: {receipt}"))
}
