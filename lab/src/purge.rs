//! Purges by an operator, and what must be true after one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hotrod_edge::time::{UnixMillis, rfc3339};
use serde_json::Value;

use crate::client::Call;
use crate::harness::{Edge, OPERATOR_TOKEN};
use crate::origin::Answer;

/// A purge with this token.
pub fn purge_call(token: &str, body: impl AsRef<[u8]>) -> Call {
    let call = Call::new("POST", "/cache/purge").field("Authorization", format!("Bearer {token}"));
    call.field("Content-Type", "application/json").body(body)
}

/// Longer than purges are taken together.
const BURST: Duration = Duration::from_millis(1_050);

/// Whether the time that a receipt gives is over. Points in time of one form and length compare as texts.
#[track_caller]
pub fn is_over(receipt: &Value, time: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    let now = rfc3339(UnixMillis(u64::try_from(now).expect("a clock of this age")));
    receipt[time].as_str().unwrap_or_else(|| panic!("no {time}: {receipt}")) < now.as_str()
}

/// Waits until the time that a receipt gives is over.
#[track_caller]
pub fn wait_past(receipt: &Value, time: &str) {
    while !is_over(receipt, time) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Edge {
    /// Purges, and answers the receipt as soon as nothing purged is served here: at once, or if the purge joined an
    /// increment that is to come, when all that was promised is in force.
    #[track_caller]
    pub fn purge(&self, body: &Value) -> Value {
        self.purge_by(OPERATOR_TOKEN, body)
    }

    /// The same with another token.
    #[track_caller]
    pub fn purge_by(&self, token: &str, body: &Value) -> Value {
        let mut purged_at = self.purged_at.lock().expect("no purge panics while it holds this");
        // One that joins an increment which comes just then would look as if it had been the first of a burst.
        let since = purged_at.map_or(BURST, |at| at.elapsed());
        std::thread::sleep(BURST.saturating_sub(since));
        let receipt = self.order(token, body);
        *purged_at = Some(Instant::now());
        if !is_over(&receipt, "incremented_at") {
            wait_past(&receipt, "effective_by");
        }
        receipt
    }

    /// Purges, and answers the receipt at once.
    #[track_caller]
    pub fn order(&self, token: &str, body: &Value) -> Value {
        let case = self.send(&purge_call(token, body.to_string())).expect(202);
        case.field("Content-Type", "application/json").field("Cache-Control", "no-store").origin_requests(0).json()
    }

    /// The next request asks the origin although a store holds the old answer, and the one after it is a hit of what
    /// came: the fact that is answered.
    #[track_caller]
    pub fn is_gone(&self, target: &str, key: &str) -> String {
        let new = format!("new, as answer {} of the origin", self.origin.total() + 1);
        self.origin.answer(target, Answer::tile(&new));
        let case = self.get(target).expect(200).fwd("uri-miss").stored(true).detail("purged").says(&new);
        let refilled = case.origin_requests(1);
        self.wait_until_kept(key, &refilled.text());
        self.is_hit(target, &new);
        new
    }
}
