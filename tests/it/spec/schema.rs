//! The form of a scenario.

use crate::fakes::{GetFault, LedgerFault, OriginFault, Point, PutFault};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::slice;

/// A file of scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

/// One behaviour.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What is true, in a sentence.
    pub claim: String,
    pub id: String,
    /// The clauses of RFC 9111 that it shows, by their ids.
    #[serde(default)]
    pub shows: Vec<String>,
    /// The time of day of second 0, as `23:58:00`. Noon, if it is not said.
    pub begins: Option<String>,
    pub steps: Vec<Step>,
}

/// A moment: what changes, who asks, and what the answer must be. In this order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Seconds since the scenario began. Stays where it was, if it is not said.
    pub at: Option<f64>,
    /// What the origin answers from here on; `{}` is its usual answer.
    pub answer: Option<Answer>,
    /// What is wrong from here on; `{}` is nothing.
    pub fault: Option<Faults>,
    /// Late puts arrive now.
    pub land: Option<Where>,
    /// A tier loses everything.
    pub evict: Option<Where>,

    /// In which data centre: `here`, if it is not said.
    pub location: Option<String>,
    /// In which isolate of it: the first one, if it is not said.
    pub isolate: Option<String>,
    pub get: Option<String>,
    pub head: Option<String>,
    pub post: Option<String>,
    /// Method and URL.
    pub send: Option<[String; 2]>,
    /// A purge by an operator, with `mode = "hard"` unless it says another.
    pub purge: Option<toml::Table>,
    /// Of the request. `{a}` in a value stands for the ETag or token that is called `a`.
    pub headers: BTreeMap<String, Lines>,
    pub content: Option<String>,
    /// Starts the request under a name, and leaves it where it is held.
    pub open: Option<String>,
    /// Where it is held. It waits for another request, if it is not said.
    pub until: Option<Point>,
    /// Lets an open request come to its end; what follows is about its answer.
    pub finish: Option<String>,

    /// How many requests reached the origin in this step.
    pub origin: Option<usize>,
    /// How often the ledger was asked for its counters in this step.
    pub asked: Option<usize>,
    pub status: Option<u16>,
    /// Cache-Status, without the cache's name.
    pub cs: Option<String>,
    pub cache_control: Option<String>,
    pub age: Option<u32>,
    /// Which of the origin's usual answers the body is.
    pub serial: Option<u64>,
    /// The whole body.
    pub body: Option<String>,
    /// How many bytes the body has.
    pub length: Option<usize>,
    /// A part of the body.
    pub says: Option<String>,
    /// The ETag: the first step that uses a name gives it, and the others must have the same.
    pub tag: Option<String>,
    /// The ETag is not the one of this name.
    pub other_tag: Option<String>,
    /// The answer has an epoch token, in Epoch-Token or in a receipt. This is what it is called from here on.
    pub token: Option<String>,
    pub has: BTreeMap<String, String>,
    pub lacks: Vec<String>,
    /// What was recorded since the scenario began, all of it.
    pub incidents: Option<BTreeMap<String, u64>>,
    /// The keys in the store of this location, all of them.
    pub in_edge: Option<Vec<String>>,
    /// The keys in Workers KV, all of them.
    pub in_kv: Option<Vec<String>>,
    /// The last request that reached the origin.
    pub origin_got: Option<Got>,
}

/// An answer of the origin.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    pub status: Option<u16>,
    /// Content-Type; `application/json`, if it is not said, and none, if it is empty. 204 and 304 have neither this nor
    /// a body, if they do not say so.
    pub content_type: Option<String>,
    pub headers: BTreeMap<String, Lines>,
    /// The fields of a 304, which is the answer in place of this one to whoever asks with a condition.
    pub not_modified: Option<BTreeMap<String, Lines>>,
    pub body: Option<String>,
    /// The body is JSON of this many bytes.
    pub length: Option<usize>,
    /// Seconds that it takes.
    pub takes: f64,
}

/// A field's value, or its lines.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Lines {
    One(String),
    Several(Vec<String>),
}

impl Lines {
    /// Each line.
    pub fn each(&self) -> &[String] {
        match self {
            Self::One(line) => slice::from_ref(line),
            Self::Several(lines) => lines,
        }
    }
}

/// What is wrong with the world.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    pub edge_get: GetFault,
    pub edge_put: PutFault,
    pub kv_get: GetFault,
    pub kv_put: PutFault,
    pub ledger: LedgerFault,
    /// The data centre's copies of counters can be neither read nor put.
    pub counters: bool,
    pub origin: OriginFault,
}

/// A tier, or the data centre's copies of counters.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    Edge,
    Kv,
    Counters,
}

/// What the origin received.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Got {
    pub method: Option<String>,
    pub url: Option<String>,
    pub content: Option<String>,
    pub has: BTreeMap<String, String>,
    pub lacks: Vec<String>,
    /// Every field but the request id, if it is said.
    pub fields: Option<BTreeMap<String, String>>,
}

/// Reads a file, and refuses what says too little.
pub fn read(text: &str) -> Result<Vec<Scenario>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    for Scenario { id, steps, .. } in &file.scenario {
        for (number, step) in (1..).zip(steps) {
            step.judge().map_err(|wrong| format!("{id}: step {number} {wrong}"))?;
        }
    }
    Ok(file.scenario)
}

impl Step {
    fn judge(&self) -> Result<(), &'static str> {
        let requests = [
            self.get.is_some(),
            self.head.is_some(),
            self.post.is_some(),
            self.send.is_some(),
            self.purge.is_some(),
            self.finish.is_some(),
        ];
        let sent = requests.iter().filter(|sent| **sent).count();
        let expects = self.status.is_some()
            || self.cs.is_some()
            || self.cache_control.is_some()
            || self.age.is_some()
            || self.serial.is_some()
            || self.body.is_some()
            || self.length.is_some()
            || self.says.is_some()
            || self.tag.is_some()
            || self.other_tag.is_some()
            || self.token.is_some()
            || !self.has.is_empty()
            || !self.lacks.is_empty();
        match sent {
            0 if expects => Err("expects an answer and sends no request"),
            1 if self.origin.is_none() => Err("sends a request and does not say `origin`"),
            1 if self.open.is_none() && self.status.is_none() => Err("sends a request and does not say `status`"),
            1 if self.open.is_some() && expects => Err("expects an answer of a request that it leaves open"),
            0 | 1 => Ok(()),
            _ => Err("sends more than one request"),
        }
    }
}
