//! Purges by an operator, and what must be true after one.

use serde_json::Value;

use crate::client::Call;
use crate::harness::{Edge, OPERATOR_TOKEN};
use crate::origin::Answer;

/// A purge with this token.
pub fn purge_call(token: &str, body: impl AsRef<[u8]>) -> Call {
    let call = Call::new("POST", "/cache/purge").field("Authorization", format!("Bearer {token}"));
    call.field("Content-Type", "application/json").body(body)
}

impl Edge {
    /// Purges, and answers what was confirmed.
    #[track_caller]
    pub fn purge(&self, body: &Value) -> Value {
        let case = self.send(&purge_call(OPERATOR_TOKEN, body.to_string())).expect(202);
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
