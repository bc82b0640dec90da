//! The lab: Workers of one build as the locations of a network. Each location has a Cache API store of its own and
//! sees KV in its own time; all share the ledgers and the origin.
//!
//! ```ignore
//! let lab = Lab::start();
//! lab.origin().answer("/api/dashboard/tiles/ops", Answer::tile("first"));
//! lab.at("ams").get("/api/dashboard/tiles/ops").expect(200).fwd("uri-miss").origin_requests(1);
//! lab.at("iad").get("/api/dashboard/tiles/ops").expect(200).fwd("uri-miss").origin_requests(1);
//! lab.delay_ledger("sin", Duration::from_millis(300));
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::case::Case;
use crate::client::{Call, Response};
use crate::config::{Deployment, WorkerConfig, compatibility_date};
use crate::day::clear_of_midnight;
use crate::harness::{CACHE, MEMORY_BYTES, TENANT, failing_modules, listing_call, url, vars, wait_until};
use crate::origin::Origin;
use crate::session::VARS;
use crate::stored::{cache_url_of, is_hot, kv_key_of};
use crate::stores::{CacheFace, CacheStore, Consistency, KvFace, KvStore};
use crate::workerd::Workerd;

/// The Worker in which the ledgers run, so that they share an isolate with no location.
const LEDGERS: &str = "ledgers";
/// How long KV takes from one location to another, and how long it remembers a miss.
const LAG: Duration = Duration::from_secs(2);

/// How a lab is built.
pub struct Layout {
    locations: Vec<String>,
    tenants: Vec<String>,
    lists: Vec<String>,
    isolates: usize,
    vars: BTreeMap<String, String>,
    kv: Consistency,
    origin: Option<String>,
    first_port: Option<u16>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            locations: ["ams", "iad", "sin"].map(str::to_owned).into(),
            tenants: vec![TENANT.to_owned()],
            lists: Vec::new(),
            isolates: 1,
            vars: BTreeMap::new(),
            kv: Consistency::lagging(LAG),
            origin: None,
            first_port: None,
        }
    }
}

impl Layout {
    /// Three locations, one tenant, one isolate each, a scripted origin, and KV two seconds behind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Other locations.
    pub fn locations(mut self, names: &[&str]) -> Self {
        self.locations = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Other tenants. In access mode `open` a deployment has one, so each has Workers of its own in each location.
    pub fn tenants(mut self, names: &[&str]) -> Self {
        self.tenants = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Access mode `session`, with these shops, which are listed. Every Worker serves all of them.
    pub fn session(mut self, shops: &[&str]) -> Self {
        self.lists = shops.iter().map(|&shop| shop.to_owned()).collect();
        VARS.into_iter().fold(self, |with, (name, value)| with.var(name, value))
    }

    /// So many isolates of each tenant in each location. They share its stores and nothing in memory.
    pub fn isolates(mut self, count: usize) -> Self {
        self.isolates = count;
        self
    }

    /// Sets a variable or a secret of every Worker.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With the memory tier that a Worker has if nobody says otherwise.
    pub fn remembering(self) -> Self {
        self.var("MEMORY_BYTES", MEMORY_BYTES)
    }

    /// How far the locations are from each other in KV.
    pub fn kv(mut self, consistency: Consistency) -> Self {
        self.kv = consistency;
        self
    }

    /// An origin that runs elsewhere on this machine, as a URL, instead of the scripted one.
    pub fn origin(mut self, url: &str) -> Self {
        self.origin = Some(url.to_owned());
        self
    }

    /// Listens on this port and those after it, in the order of [`Lab::workers`], instead of any that are free.
    pub fn first_port(mut self, port: u16) -> Self {
        self.first_port = Some(port);
        self
    }

    /// Starts everything.
    pub fn start(self) -> Lab {
        let origin = self.origin.is_none().then(|| {
            clear_of_midnight();
            Origin::start()
        });
        let scripted = origin.as_ref().map(|origin| url(origin.address()));
        let origin_url = self.origin.clone().or(scripted).expect("one of the two origins");
        let kv = KvStore::new();
        let locations: Vec<_> = self.locations.iter().map(|name| Location::start(name, &kv, self.kv)).collect();
        let mut workers = Vec::new();
        for location in &locations {
            for (tenant, name) in self.tenants.iter().enumerate() {
                for isolate in 0..self.isolates {
                    let mut vars = vars(name, &origin_url);
                    vars.extend(self.vars.clone());
                    if !self.lists.is_empty() {
                        vars.remove("TENANT");
                    }
                    workers.push(WorkerConfig {
                        name: worker_name(&location.name, tenant, isolate),
                        port: Some(self.port(workers.len())),
                        vars,
                        kv: Some(location.kv_face.address()),
                        ledger: Some(LEDGERS.to_owned()),
                        cache: location.cache_face.address(),
                    });
                }
            }
        }
        // It has all that a location has but a socket.
        let like = workers.first().expect("a location, a tenant and an isolate").clone();
        workers.push(WorkerConfig { name: LEDGERS.to_owned(), port: None, ..like });
        let deployment = Deployment {
            modules: failing_modules(),
            compatibility_date: compatibility_date(),
            compatibility_flags: Vec::new(),
            workers,
        };
        let lab = Lab {
            workerd: Workerd::start(&deployment),
            origin,
            kv,
            locations,
            tenants: self.tenants,
            isolates: self.isolates,
        };
        for shop in &self.lists {
            let listed = lab.workers().first().expect("a Worker").ask(&listing_call(shop, true));
            assert_eq!(listed.status, 200, "{shop}: {}", listed.text());
        }
        lab
    }

    fn port(&self, number: usize) -> u16 {
        let port = |first: u16| u16::try_from(number).ok().and_then(|number| first.checked_add(number));
        self.first_port.map_or(0, |first| port(first).expect("as many ports as Workers"))
    }
}

fn worker_name(location: &str, tenant: usize, isolate: usize) -> String {
    format!("{location}-{tenant}-{isolate}")
}

/// What the Workers of one location share.
struct Location {
    name: String,
    kv_face: KvFace,
    cache: CacheStore,
    cache_face: CacheFace,
}

impl Location {
    fn start(name: &str, kv: &KvStore, consistency: Consistency) -> Self {
        let kv_face = KvFace::start(kv);
        kv_face.set_consistency(consistency);
        let cache = CacheStore::new();
        let cache_face = CacheFace::start(&cache);
        Self { name: name.to_owned(), kv_face, cache, cache_face }
    }
}

/// A network of locations. It ends when it is dropped.
pub struct Lab {
    // Dropped first, so that the others outlive it.
    /// The runtime.
    pub workerd: Workerd,
    origin: Option<Origin>,
    /// The data behind every `KV`, as it is, whatever a location sees of it.
    pub kv: KvStore,
    locations: Vec<Location>,
    tenants: Vec<String>,
    isolates: usize,
}

impl Lab {
    /// The ordinary layout.
    pub fn start() -> Self {
        Layout::new().start()
    }

    /// The scripted origin.
    #[track_caller]
    pub fn origin(&self) -> &Origin {
        self.origin.as_ref().expect("the origin of this lab is scripted")
    }

    /// A location, and in it the first tenant's first isolate.
    #[track_caller]
    pub fn at(&self, location: &str) -> At<'_> {
        let found = self.locations.iter().find(|known| known.name == location);
        let location = found.unwrap_or_else(|| panic!("there is no location {location}"));
        At { lab: self, location, tenant: 0, isolate: 0 }
    }

    /// Every Worker, location by location.
    pub fn workers(&self) -> Vec<At<'_>> {
        self.locations.iter().flat_map(|location| self.workers_of(location)).collect()
    }

    fn workers_of<'a>(&'a self, location: &'a Location) -> impl Iterator<Item = At<'a>> {
        let each = (0..self.tenants.len()).flat_map(|tenant| (0..self.isolates).map(move |isolate| (tenant, isolate)));
        each.map(move |(tenant, isolate)| At { lab: self, location, tenant, isolate })
    }

    /// Evicts everything from the Cache API of a location.
    #[track_caller]
    pub fn clear_edge(&self, location: &str) {
        self.at(location).cache().clear();
    }

    /// How often the Workers of a location have called a ledger since they started.
    #[track_caller]
    pub fn ledger_calls(&self, location: &str) -> usize {
        self.ledger_calls_by_path(location).values().sum()
    }

    /// The same, by the path of the call.
    #[track_caller]
    pub fn ledger_calls_by_path(&self, location: &str) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for answer in self.tell(location, "ledger/calls") {
            for (path, count) in answer.json().as_object().expect("counts by path") {
                let count = count.as_u64().and_then(|count| usize::try_from(count).ok());
                *calls.entry(path.clone()).or_default() += count.expect("a count");
            }
        }
        calls
    }

    /// From now on a call of a ledger takes so much longer to arrive from this location.
    #[track_caller]
    pub fn delay_ledger(&self, location: &str, delay: Duration) {
        self.tell(location, &format!("ledger/delay/{}", delay.as_millis()));
    }

    /// From now on the answer of a ledger takes so much longer to come back to this location.
    #[track_caller]
    pub fn delay_ledger_answer(&self, location: &str, delay: Duration) {
        self.tell(location, &format!("ledger/delay-answer/{}", delay.as_millis()));
    }

    /// From now on calls of a ledger fail so in this location, as `lab.mjs` has it; `none` heals.
    #[track_caller]
    pub fn fail_ledger(&self, location: &str, fault: &str) {
        self.tell(location, &format!("ledger/{fault}"));
    }

    /// From now on a question to the origin takes so much longer to arrive from this location.
    #[track_caller]
    pub fn delay_origin(&self, location: &str, delay: Duration) {
        self.tell(location, &format!("origin/delay/{}", delay.as_millis()));
    }

    /// From now on the origin's answer takes so much longer to come back to this location.
    #[track_caller]
    pub fn delay_origin_answer(&self, location: &str, delay: Duration) {
        self.tell(location, &format!("origin/delay-answer/{}", delay.as_millis()));
    }

    /// From now on questions to the origin fail so in this location, as `lab.mjs` has it; `none` heals.
    #[track_caller]
    pub fn fail_origin(&self, location: &str, fault: &str) {
        self.tell(location, &format!("origin/{fault}"));
    }

    /// Kills workerd and starts it again: every isolate is new and unfailing, and what is stored is there.
    pub fn restart(&mut self) {
        self.workerd.restart();
    }

    /// Says something to every Worker of a location.
    #[track_caller]
    fn tell(&self, location: &str, what: &str) -> Vec<Response> {
        let call = Call::get(format!("/test/{what}"));
        let location = self.at(location).location;
        let answers: Vec<_> = self.workers_of(location).map(|worker| worker.ask(&call)).collect();
        assert!(answers.iter().all(|answer| answer.status == 200), "{call}: {answers:?}");
        answers
    }
}

/// A Worker and its location.
#[derive(Clone, Copy)]
pub struct At<'a> {
    lab: &'a Lab,
    location: &'a Location,
    tenant: usize,
    isolate: usize,
}

impl<'a> At<'a> {
    /// The same with another tenant, by its place in [`Layout::tenants`].
    pub fn tenant(self, tenant: usize) -> Self {
        Self { tenant, ..self }
    }

    /// The same with another isolate.
    pub fn isolate(self, isolate: usize) -> Self {
        Self { isolate, ..self }
    }

    /// The Worker's name: location, tenant and isolate.
    pub fn name(self) -> String {
        worker_name(&self.location.name, self.tenant, self.isolate)
    }

    /// Where the Worker listens.
    #[track_caller]
    pub fn address(self) -> SocketAddr {
        self.lab.workerd.address_of(&self.name())
    }

    /// The data behind the Cache API of the location.
    pub fn cache(self) -> &'a CacheStore {
        &self.location.cache
    }

    /// What the location sees of its Cache API: faults and operations.
    pub fn cache_face(self) -> &'a CacheFace {
        &self.location.cache_face
    }

    /// What the location sees of KV: its distance, faults and operations.
    pub fn kv_face(self) -> &'a KvFace {
        &self.location.kv_face
    }

    /// The body that the location's Cache API holds under this key.
    pub fn in_cache(self, key: &str) -> Option<String> {
        let (_, body) = self.location.cache.get(CACHE, &cache_url_of(&self.lab.tenants[self.tenant], key))?;
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    /// Waits until the location's stores hold this body: the Cache API, and KV if the route is hot.
    #[track_caller]
    pub fn wait_until_kept(self, key: &str, body: &str) {
        let hot = is_hot(key);
        let in_kv = || {
            let value = self.lab.kv.get(&kv_key_of(&self.lab.tenants[self.tenant], key));
            value.is_some_and(|value| *value.bytes == *body.as_bytes())
        };
        wait_until("the answer is in the stores", || self.in_cache(key).as_deref() == Some(body) && (!hot || in_kv()));
    }

    /// A GET of this target.
    #[track_caller]
    pub fn get(self, target: &str) -> Case<'a> {
        self.send(&Call::get(target))
    }

    /// Any request.
    #[track_caller]
    pub fn send(self, call: &Call) -> Case<'a> {
        Case::run(self.lab.origin(), &self.lab.workerd, self.address(), call)
    }

    /// Any request, for when others are under way and the origin's count would be theirs too.
    #[track_caller]
    pub fn ask(self, call: &Call) -> Response {
        call.send(self.address()).unwrap_or_else(|error| panic!("{}: {call}: {error}", self.name()))
    }
}
