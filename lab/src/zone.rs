//! A stand-in of Cloudflare's API for one zone: `POST /client/v4/zones/{zone}/purge_cache`, by tags.
//!
//! It refuses what the real one refuses, counts calls against a bucket of tokens, and can fail when it is told to. A
//! purge reaches the Cache API stores that the zone was told of, before it is answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gate::{Gate, lock};
use crate::server::Server;
use crate::stores::CacheStore;
use crate::stores::face::{Asked, Reply, serve};

/// The zone's id.
pub const ZONE: &str = "0123456789abcdef0123456789abcdef";
/// A token that may purge.
pub const ZONE_TOKEN: &str = "zone-token-for-tests";

/// The most tags of one call.
const MOST_TAGS: usize = 100;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 1024;

/// One call, refused ones included.
#[derive(Clone, Debug)]
pub struct ZoneCall {
    /// When it came.
    pub at: Instant,
    /// What it names, as far as its body can be read.
    pub tags: Vec<String>,
    /// How it was answered; none if it was not.
    pub status: Option<u16>,
}

/// What the zone does instead of purging.
#[derive(Clone, Debug)]
pub enum ZoneFault {
    /// Answers this status.
    Status(u16),
    /// Answers nothing until the gate opens, and then closes the connection.
    Hang(Gate),
    /// Closes the connection.
    HangUp,
    /// Purges, and holds the answer back until the gate opens.
    HoldAnswer(Gate),
}

/// Calls are paid with tokens, which come back with time.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled: Instant,
}

impl Bucket {
    fn new(burst: u32, per_second: f64) -> Self {
        Self { tokens: f64::from(burst), burst: f64::from(burst), per_second, filled: Instant::now() }
    }

    /// Takes a token, or says how long the next one takes; where none ever comes, an hour.
    fn take(&mut self) -> Result<(), Duration> {
        let gained = self.filled.elapsed().as_secs_f64() * self.per_second;
        self.filled = Instant::now();
        self.tokens = (self.tokens + gained).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.tokens) / self.per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_hours(1)))
    }
}

struct State {
    bucket: Mutex<Bucket>,
    fault: Mutex<Option<ZoneFault>>,
    calls: Mutex<Vec<ZoneCall>>,
    caches: Mutex<Vec<CacheStore>>,
}

/// The zone's API. It stops when it is dropped.
pub struct Zone {
    server: Server,
    state: Arc<State>,
}

impl Zone {
    /// Starts on a free loopback port, with the limit of the Free plan: 25 calls at once, 5 more a minute.
    pub fn start() -> Self {
        let bucket = Mutex::new(Bucket::new(25, 5.0 / 60.0));
        let state =
            Arc::new(State { bucket, fault: Mutex::default(), calls: Mutex::default(), caches: Mutex::default() });
        let server = Server::start({
            let state = Arc::clone(&state);
            move |connection| serve(connection, |asked| answer(&state, &asked))
        });
        Self { server, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What takes the place of `https://api.cloudflare.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// From now on a purge of a tag reaches this cache too.
    pub fn reaches(&self, cache: &CacheStore) {
        lock(&self.state.caches).push(cache.clone());
    }

    /// A new bucket, full: so many calls at once, and so many more each second.
    pub fn limit(&self, burst: u32, per_second: f64) {
        *lock(&self.state.bucket) = Bucket::new(burst, per_second);
    }

    /// In force until [`Zone::heal`].
    pub fn fail(&self, fault: ZoneFault) {
        *lock(&self.state.fault) = Some(fault);
    }

    /// No fault any more.
    pub fn heal(&self) {
        *lock(&self.state.fault) = None;
    }

    /// Every call so far, in the order in which they were answered.
    pub fn calls(&self) -> Vec<ZoneCall> {
        lock(&self.state.calls).clone()
    }
}

fn answer(state: &State, asked: &Asked) -> Reply {
    let at = Instant::now();
    let tags = tags(&asked.body);
    let reply = purge(state, asked, tags.as_deref());
    let status = if let Reply::Message { status, .. } = &reply { Some(*status) } else { None };
    lock(&state.calls).push(ZoneCall { at, tags: tags.unwrap_or_default(), status });
    reply
}

fn purge(state: &State, asked: &Asked, tags: Option<&[String]>) -> Reply {
    let fault = lock(&state.fault).clone();
    match fault {
        Some(ZoneFault::Status(status)) => return refusal(status, 10000, "told to fail"),
        Some(ZoneFault::HangUp) => return Reply::Close,
        Some(ZoneFault::Hang(gate)) => {
            gate.pass(&asked.stop);
            return Reply::Close;
        }
        Some(ZoneFault::HoldAnswer(_)) | None => {}
    }
    if asked.target != format!("/client/v4/zones/{ZONE}/purge_cache") {
        return refusal(404, 7003, "Could not route to the path: no such path, or no such zone");
    }
    if asked.method != "POST" {
        return refusal(405, 10405, "Method not allowed");
    }
    if asked.fields.get("Authorization") != Some(&format!("Bearer {ZONE_TOKEN}")) {
        return refusal(403, 10000, "Authentication error");
    }
    let Some(tags) = tags else {
        return refusal(400, 1012, "The request must hold a list of tags, none of them empty or too long");
    };
    if tags.is_empty() || tags.len() > MOST_TAGS {
        return refusal(400, 1094, "The request must hold 1 to 100 tags");
    }
    if let Err(wait) = lock(&state.bucket).take() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let limited = json!({"code": 1134, "message": "Unable to purge: rate limit reached"});
        return message(429, vec![("Retry-After".to_owned(), seconds.to_string())], &[limited]);
    }
    for cache in lock(&state.caches).iter() {
        for tag in tags {
            cache.purge_tag(tag);
        }
    }
    if let Some(ZoneFault::HoldAnswer(gate)) = fault {
        gate.pass(&asked.stop);
    }
    message(200, Vec::new(), &[])
}

/// The tags that a body names; none if it is not of that form.
fn tags(body: &[u8]) -> Option<Vec<String>> {
    let read: Value = serde_json::from_slice(body).ok()?;
    let read = read.as_object().filter(|members| members.len() == 1)?;
    let tag = |tag: &Value| tag.as_str().filter(|tag| (1..=LONGEST_TAG).contains(&tag.len())).map(str::to_owned);
    read.get("tags")?.as_array()?.iter().map(tag).collect()
}

fn refusal(status: u16, code: u32, what: &str) -> Reply {
    message(status, Vec::new(), &[json!({"code": code, "message": what})])
}

/// An answer in the form that all of Cloudflare's API has.
fn message(status: u16, mut fields: Vec<(String, String)>, errors: &[Value]) -> Reply {
    fields.push(("Content-Type".to_owned(), "application/json".to_owned()));
    let result = if errors.is_empty() { json!({"id": ZONE}) } else { Value::Null };
    let body = json!({"success": errors.is_empty(), "errors": errors, "messages": [], "result": result});
    Reply::Message { status, fields, body: body.to_string().into_bytes().into(), cut_body: None }
}
