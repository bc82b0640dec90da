//! Where attacks take place: edges that the cases of a section share, and what must be true after most attacks.

use std::cell::OnceCell;
use std::time::Duration;

use lab::client::{Call, Response};
use lab::harness::{Edge, Options, TENANT};
use lab::origin::{Answer, Recorded};
use lab::secrets::{COOKIE, CUSTOMER, EMAIL};
use lab::stored::{SALES, SALES_KEY};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::webhook;

/// A route that is never stored.
pub const LIVE: &str = "/api/realtime/sla";
/// What every attacker's value holds, so that it is found wherever it comes out.
pub const EVIL: &str = "evil";
/// A host that is served beside the machine's own names.
pub const PUBLIC_HOST: &str = "dash.example";
/// A token that may purge one class, hard.
pub const NARROW_TOKEN: &str = "narrow-purge-token-for-tests";

/// The edges of a section. Each starts when a case asks for it.
#[derive(Default)]
pub struct Stage {
    open: OnceCell<Edge>,
    session: OnceCell<Edge>,
}

impl Stage {
    /// The edge of one tenant, with nothing in store and an origin that answers with all that it gets.
    pub fn open(&self) -> &Edge {
        cleared(self.open.get_or_init(|| options().start()))
    }

    /// The same for two shops, whose readers show session tokens.
    pub fn session(&self) -> &Edge {
        cleared(self.session.get_or_init(|| options().session().start()))
    }
}

fn options() -> Options {
    let narrow = hotrod_edge::validation::hex(&Sha256::digest(NARROW_TOKEN));
    let tokens = json!([{
        "name": "narrow", "sha256": narrow, "tenants": [TENANT], "classes": ["near_real_time"], "modes": ["hard"],
    }]);
    let hosts = format!("localhost 127.0.0.1 {PUBLIC_HOST}");
    let options = Options::built().var("HOSTS", &hosts).var("PURGE_TOKENS", &tokens.to_string());
    options.var("WEBHOOKS", &webhook::setting())
}

fn cleared(edge: &Edge) -> &Edge {
    settle(edge);
    empty(edge);
    edge.origin.forget();
    edge.origin.otherwise(echo);
    edge
}

/// Waits until nothing is done behind answers any more: the stores are asked for nothing while the isolate answers
/// something else.
pub fn settle(edge: &Edge) {
    let operations = || edge.cache_face.log().len() + edge.kv_face.log().len();
    let mut before = usize::MAX;
    while before != operations() {
        before = operations();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(5));
            edge.get("/healthz").expect(200).origin_requests(0);
        }
    }
}

/// Nothing is in store.
pub fn empty(edge: &Edge) {
    edge.cache.clear();
    edge.kv.clear();
}

/// A good tile that says all that the origin got, but for the name of the request.
pub fn echo(request: &Recorded) -> Answer {
    let mut fields = request.fields.clone();
    fields.remove("X-Request-Id");
    let body = String::from_utf8_lossy(&request.body);
    Answer::tile(&format!("{} {} {:?} {body}", request.method, request.target, fields.0))
}

/// A GET with what a browser sends for somebody who is logged in.
pub fn as_somebody(target: &str) -> Call {
    let call = Call::get(target).field("Cookie", COOKIE).field("X-Customer", CUSTOMER);
    call.field("X-Email", EMAIL).field("User-Agent", "a browser")
}

/// Nothing of an attacker's or of somebody's comes out.
#[track_caller]
pub fn is_clean(name: &str, response: &Response) {
    let fields = response.fields.0.iter().map(|(name, value)| format!("{name}: {value}"));
    for text in fields.chain([response.text()]) {
        for marker in [EVIL, COOKIE, CUSTOMER, EMAIL] {
            assert!(!text.contains(marker), "{name}: {marker} came out: {text}");
        }
    }
}

/// A clean request for the tile, with nothing in store.
#[track_caller]
pub fn clean_fill(edge: &Edge) -> Response {
    empty(edge);
    let clean = edge.get(SALES).expect(200).fwd("uri-miss").stored(true).origin_requests(1);
    edge.wait_until_kept(SALES_KEY, &clean.text());
    is_clean("a clean fill", &clean);
    clean
}

/// The victim: a clean request for the tile is a hit of what a clean fill was.
#[track_caller]
pub fn victim_hits(edge: &Edge, clean: &Response) {
    let victim = edge.get(SALES).expect(200).hit().body(&clean.body).origin_requests(0);
    is_clean("the victim", &victim);
    for name in ["Content-Type", "ETag", "Cache-Control", "Content-Length"] {
        assert_eq!(victim.field(name), clean.field(name), "the victim's {name}");
    }
    let extra: Vec<_> = victim.fields.names().into_iter().filter(|name| !clean.fields.has(name)).collect();
    assert_eq!(extra, ["age"], "fields of the victim's alone");
}

/// This request for the tile is answered as a clean one, from store and from the origin, which cannot tell it from a
/// clean one; and what it stored is what a clean one stores.
#[track_caller]
pub fn is_like_a_clean_one(edge: &Edge, call: &Call) {
    let clean = clean_fill(edge);
    let from_store = edge.send(call).expect(200).hit().body(&clean.body).origin_requests(0);
    is_clean("from store", &from_store);
    victim_hits(edge, &clean);
    empty(edge);
    let filling = edge.send(call).expect(200).fwd("uri-miss").stored(true).body(&clean.body).origin_requests(1);
    is_clean("from the origin", &filling);
    edge.wait_until_kept(SALES_KEY, &filling.text());
    victim_hits(edge, &clean);
}

/// The same for each of these fields by itself, and for all of them at once.
#[track_caller]
pub fn are_like_none(edge: &Edge, fields: &[(&str, &str)]) {
    let mut all = Call::get(SALES);
    for (name, value) in fields {
        is_like_a_clean_one(edge, &Call::get(SALES).field(name, value));
        all = all.field(name, value);
    }
    if fields.len() > 1 {
        is_like_a_clean_one(edge, &all);
    }
}

/// The edge refuses this request itself, whether the tile is in store or not, and the tile is as it was.
#[track_caller]
pub fn is_refused(edge: &Edge, call: &Call, status: u16) {
    let refuse = || {
        let refused = edge.send(call).problem(status).origin_requests(0);
        assert!(refused.fields.0.iter().all(|(_, value)| !value.contains(EVIL)), "{call}: {:?}", refused.fields);
    };
    empty(edge);
    refuse();
    assert_eq!((edge.answers_in_cache(), edge.kv.keys()), (Vec::new(), Vec::new()), "{call}");
    let clean = clean_fill(edge);
    refuse();
    victim_hits(edge, &clean);
}

/// The origin's answer reaches whoever asked, and is not stored; the next clean one is.
#[track_caller]
pub fn is_not_stored(edge: &Edge, answer: &Answer, status: u16) -> Response {
    edge.origin.script(SALES, |request, _| echo(request));
    let clean = clean_fill(edge);
    empty(edge);
    edge.origin.answer(SALES, answer.clone());
    let given = edge.get(SALES).expect(status).stored(false).field("Cache-Control", "no-store").origin_requests(1);
    assert_eq!((edge.answers_in_cache(), edge.kv.keys()), (Vec::new(), Vec::new()), "it is in store");
    edge.origin.script(SALES, |request, _| echo(request));
    let victim = edge.get(SALES).expect(200).fwd("uri-miss").stored(true).body(&clean.body).origin_requests(1);
    is_clean("the victim", &victim);
    edge.wait_until_kept(SALES_KEY, &victim.text());
    victim_hits(edge, &clean);
    given
}

/// What the origin got of this request, which is passed on.
#[track_caller]
pub fn passed_on(edge: &Edge, call: &Call) -> Recorded {
    edge.send(call).expect(200).stored(false).origin_requests(1);
    edge.origin.all_requests().pop().expect("the origin was asked")
}

/// On a route that is passed on, none of these reaches the origin as it was sent.
#[track_caller]
pub fn reach_no_origin(stage: &Stage, fields: &[(&str, &str)]) {
    let edge = stage.open();
    for (name, value) in fields {
        let passed = passed_on(edge, &Call::get(LIVE).field(name, value));
        assert!(!passed.fields.all(name).contains(value), "{name} reached the origin: {:?}", passed.fields);
    }
}
