//! One edge under test: a Worker on its own workerd, a scripted origin, and stores that can fail.
//!
//! ```ignore
//! let edge = Edge::start();
//! edge.origin.answer("/api/dashboard/tiles/ops", Answer::tile("first"));
//! edge.get("/api/dashboard/tiles/ops").expect(200).fwd("uri-miss").origin_requests(1);
//! edge.get("/api/dashboard/tiles/ops").expect(200).hit().says("first").origin_requests(0);
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::case::Case;
use crate::client::{Call, Response};
use crate::config::{DEPLOYED, Deployment, FOLLOW, WorkerConfig, built_modules, compatibility_date};
use crate::day::clear_of_midnight;
use crate::issuer::{ACCESS_AUDIENCE, Team};
use crate::origin::Origin;
use crate::session::{ANNS, BENS, VARS};
use crate::stores::{CacheFace, CacheStore, KvFace, KvStore};
use crate::workerd::Workerd;

/// The namespace that the Worker gives to `caches.open`.
pub const CACHE: &str = "hotrod-edge";
/// The tenant of mode `open`.
pub const TENANT: &str = "hotroddash.myshopify.com";
/// A credential for the admin plane.
pub const OPERATOR_TOKEN: &str = "operator-token-for-tests";
/// Its SHA-256, as the Worker is given it.
const OPERATOR_TOKEN_SHA256: &str = "534125de141542e27a3668e21ce0ad7a4820c1a76d97a5d098b1c7df6eca3f1d";
/// What the edge shows to the origin.
pub const EPOCH_SECRET: &str = "epoch-secret-for-tests";
/// What the origin expects in Edge-Secret.
pub const ORIGIN_SECRET: &str = "origin-secret-for-tests";

/// The bound of [`Options::short_snapshots`].
pub const SHORT: Duration = Duration::from_millis(500);

/// What a Worker's memory tier holds if nobody says otherwise.
pub(crate) const MEMORY_BYTES: &str = "16777216";

/// How long something that runs behind an answer may take.
const BEHIND: Duration = Duration::from_secs(5);

/// The built Worker inside `lab.mjs`.
pub(crate) fn failing_modules() -> Vec<(String, Vec<u8>)> {
    let mut modules = built_modules(DEPLOYED);
    modules.insert(0, ("lab.mjs".to_owned(), include_bytes!("lab.mjs").to_vec()));
    modules
}

/// Variables and secrets of an ordinary Worker.
pub(crate) fn vars(tenant: &str, origin: &str) -> BTreeMap<String, String> {
    let vars = [
        ("ACCESS_MODE", "open"),
        ("TENANT", tenant),
        ("ORIGIN", origin),
        ("HOSTS", "localhost 127.0.0.1"),
        ("OPERATOR_TOKENS_SHA256", OPERATOR_TOKEN_SHA256),
        ("ORIGIN_SECRET", ORIGIN_SECRET),
        ("EPOCH_SECRET", EPOCH_SECRET),
        // Without a memory tier, a case sees what the tiers behind it do.
        ("MEMORY_BYTES", "0"),
    ];
    vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What listens there, as a URL.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Lists a tenant, or takes it off the list.
pub(crate) fn listing_call(tenant: &str, is_listed: bool) -> Call {
    let call = Call::new("PUT", "/cache/listing").field("Authorization", format!("Bearer {OPERATOR_TOKEN}"));
    call.body(json!({"tenant": tenant, "listed": is_listed}).to_string())
}

/// Waits for what a Worker does behind an answer.
#[track_caller]
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + BEHIND;
    while !holds() {
        assert!(Instant::now() < until, "not within {BEHIND:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Everything that a case needs. It ends when it is dropped.
pub struct Edge {
    // Dropped first, so that the others outlive it.
    /// The runtime.
    pub workerd: Workerd,
    /// What the Worker fetches from.
    pub origin: Origin,
    /// The data behind `KV`.
    pub kv: KvStore,
    /// What the Worker sees of it: faults and operations.
    pub kv_face: KvFace,
    /// The data behind the Cache API.
    pub cache: CacheStore,
    /// What the Worker sees of it: faults and operations.
    pub cache_face: CacheFace,
    /// When the last purge was confirmed whose end was waited for.
    pub(crate) purged_at: Mutex<Option<Instant>>,
}

/// How an edge differs from the ordinary one.
pub struct Options {
    modules: Vec<(String, Vec<u8>)>,
    changes: Vec<Change>,
    lists: &'static [&'static str],
}

enum Change {
    Var(String, Option<String>),
    WithoutBinding(String),
    Flag(String),
}

impl Options {
    /// The Worker as it is built.
    pub fn built() -> Self {
        Self::of(built_modules(DEPLOYED))
    }

    /// The Worker whose routes follow their origin, by the rules of tests/follow.
    pub fn follow() -> Self {
        Self::of(built_modules(FOLLOW))
    }

    /// A Worker of one JavaScript module.
    pub fn script(source: &str) -> Self {
        Self::of(vec![("index.mjs".to_owned(), source.as_bytes().to_vec())])
    }

    /// The built Worker with ways to ledger and origin that can fail and are counted: `lab.mjs` says how.
    pub fn failing() -> Self {
        Self::of(failing_modules())
    }

    fn of(modules: Vec<(String, Vec<u8>)>) -> Self {
        Self { modules, changes: Vec::new(), lists: &[] }
    }

    /// Sets a variable or a secret.
    pub fn var(self, name: &str, value: &str) -> Self {
        self.with(Change::Var(name.to_owned(), Some(value.to_owned())))
    }

    /// With the memory tier that a Worker has if nobody says otherwise.
    pub fn remembering(self) -> Self {
        self.var("MEMORY_BYTES", MEMORY_BYTES)
    }

    /// Access mode `session`, with two shops that are listed.
    pub fn session(mut self) -> Self {
        self.lists = &[ANNS, BENS];
        VARS.into_iter().fold(self.without_var("TENANT"), |with, (name, value)| with.var(name, value))
    }

    /// Access mode `access`, with assertions of this team and two shops that are listed.
    pub fn access(mut self, team: &Team) -> Self {
        self.lists = &[ANNS, BENS];
        let with = self.var("ACCESS_MODE", "access").without_var("TENANT").var("ACCESS_TEAM", &team.url());
        with.var("ACCESS_AUDIENCE", ACCESS_AUDIENCE).var("ACCESS_TENANTS", r#"{"claim":"custom.shop"}"#)
    }

    /// No copy of counters judges for longer than [`SHORT`], whatever the class.
    pub fn short_snapshots(self) -> Self {
        self.var("SNAPSHOT_AT_MOST_MS", &SHORT.as_millis().to_string())
    }

    /// Leaves a variable or a secret out.
    pub fn without_var(self, name: &str) -> Self {
        self.with(Change::Var(name.to_owned(), None))
    }

    /// Leaves out `KV` or `LEDGER`.
    pub fn without_binding(self, name: &str) -> Self {
        self.with(Change::WithoutBinding(name.to_owned()))
    }

    /// Sets a compatibility flag.
    pub fn flag(self, flag: &str) -> Self {
        self.with(Change::Flag(flag.to_owned()))
    }

    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Starts everything.
    pub fn start(self) -> Edge {
        clear_of_midnight();
        let origin = Origin::start();
        let (kv, cache) = (KvStore::new(), CacheStore::new());
        let (kv_face, cache_face) = (KvFace::start(&kv), CacheFace::start(&cache));
        let name = "edge".to_owned();
        let mut config = WorkerConfig {
            vars: vars(TENANT, &url(origin.address())),
            port: Some(0),
            kv: Some(kv_face.address()),
            ledger: Some(name.clone()),
            cache: cache_face.address(),
            name,
        };
        let mut compatibility_flags = Vec::new();
        for change in self.changes {
            match change {
                Change::Var(name, Some(value)) => drop(config.vars.insert(name, value)),
                Change::Var(name, None) => drop(config.vars.remove(&name)),
                Change::WithoutBinding(name) if name == "KV" => config.kv = None,
                Change::WithoutBinding(name) if name == "LEDGER" => config.ledger = None,
                Change::WithoutBinding(name) => panic!("there is no binding {name}"),
                Change::Flag(flag) => compatibility_flags.push(flag),
            }
        }
        let deployment = Deployment {
            modules: self.modules,
            compatibility_date: compatibility_date(),
            compatibility_flags,
            workers: vec![config],
        };
        let edge = Edge {
            workerd: Workerd::start(&deployment),
            origin,
            kv,
            kv_face,
            cache,
            cache_face,
            purged_at: Mutex::new(None),
        };
        for tenant in self.lists {
            edge.list(tenant, true);
        }
        edge
    }
}

impl Edge {
    /// The built Worker with its ordinary configuration.
    pub fn start() -> Self {
        Options::built().start()
    }

    /// A GET of this target.
    #[track_caller]
    pub fn get(&self, target: &str) -> Case<'_> {
        self.send(&Call::get(target))
    }

    /// Any request.
    #[track_caller]
    pub fn send(&self, call: &Call) -> Case<'_> {
        Case::run(&self.origin, &self.workerd, self.workerd.address(), call)
    }

    /// Puts a tenant on the list of those that are served, or takes it off.
    #[track_caller]
    pub fn list(&self, tenant: &str, is_listed: bool) {
        self.send(&listing_call(tenant, is_listed)).expect(200).origin_requests(0);
    }

    /// Says something to a Worker of [`Options::failing`]: what stands behind `/test/` in `lab.mjs`.
    #[track_caller]
    pub fn tell(&self, what: &str) -> Response {
        let call = Call::get(format!("/test/{what}"));
        let answer = call.send(self.workerd.address()).unwrap_or_else(|error| panic!("{call}: {error}"));
        assert_eq!(answer.status, 200, "{call}: {}", answer.text());
        answer
    }

    /// How often a Worker of [`Options::failing`] has called a ledger since it started.
    #[track_caller]
    pub fn ledger_calls(&self) -> u64 {
        let calls = self.tell("ledger/calls").json();
        calls.as_object().expect("counts by path").values().map(|count| count.as_u64().expect("a count")).sum()
    }

    /// Waits until every copy of counters is too old to judge: of an edge with [`Options::short_snapshots`].
    pub fn snapshots_expire(&self) {
        std::thread::sleep(SHORT + Duration::from_millis(10));
    }

    /// Waits until this is true: for what the Worker asks and writes behind an answer.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        wait_until(what, || holds(self));
    }
}
