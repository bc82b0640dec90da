//! What the Worker keeps, and where: each cached route of rules.toml with its keys, and both stores asked.

use hotrod_edge::rules::{Accepts, Lifetimes, Route, Segment, Stored, compiled};

use crate::client::Response;
use crate::harness::{CACHE, Edge, TENANT};
use crate::origin::Answer;
use crate::stores::Op;

/// A hot tile.
pub const SALES: &str = "/api/dashboard/tiles/sales-pulse";
/// Its key.
pub const SALES_KEY: &str = "dashboard:tile:sales_pulse:v1";
/// Another hot tile.
pub const OPS: &str = "/api/dashboard/tiles/ops";
/// Its key.
pub const OPS_KEY: &str = "dashboard:tile:ops:v1";
/// A route that is not hot.
pub const SEGMENTS: &str = "/api/dashboard/segments";
/// Its key.
pub const SEGMENTS_KEY: &str = "dashboard:segments:v1";

/// One answer that the Worker may keep.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What a client asks for.
    pub target: String,
    /// The key without the tenant.
    pub key: String,
    /// The route's name.
    pub route: &'static str,
    /// The class's name.
    pub class: &'static str,
    /// In KV too.
    pub hot: bool,
    /// Never public.
    pub personal: bool,
    /// The class's lifetimes.
    pub lifetimes: Lifetimes,
}

/// Every answer of every cached route in the compiled table that is open to readers without a role.
pub fn all_kept() -> Vec<Kept> {
    let open = compiled().stored().filter(|(route, _)| route.roles.is_empty());
    open.flat_map(|(route, stored)| kept(route, stored)).collect()
}

/// How many answers a purge of everything is about, those for readers with a role included.
pub fn count_all() -> usize {
    compiled().stored().map(|(route, stored)| kept(route, stored).len()).sum()
}

fn kept(route: &'static Route, stored: &'static Stored) -> Vec<Kept> {
    let shape = stored.shape().unwrap_or_else(|| panic!("{}: its origin decides", route.name));
    let literal = |segment: &'static Segment| match segment {
        Segment::Literal(text) => text.as_ref(),
        Segment::Parameter { .. } | Segment::Rest => panic!("{}: tests do not know its parameter", route.name),
    };
    let path = route.path.iter().map(literal).collect::<Vec<&str>>().join("/");
    let queries: Vec<String> = match shape.query.as_ref() {
        [] => vec![String::new()],
        [parameter] => match &parameter.accepts {
            Accepts::OneOf(values) => values.iter().map(|value| format!("?{}={value}", parameter.name)).collect(),
            other => panic!("{}: tests do not know values of {other:?}", route.name),
        },
        _ => panic!("{}: tests know one parameter at most", route.name),
    };
    let of_query = |query: String| Kept {
        target: format!("/{path}{query}"),
        key: format!("{}{query}", stored.key),
        route: &route.name,
        class: &route.class,
        hot: stored.hot,
        personal: shape.personal,
        lifetimes: stored.lifetimes,
    };
    queries.into_iter().map(of_query).collect()
}

/// The name of a key in Workers KV.
pub fn kv_key(key: &str) -> String {
    kv_key_of(TENANT, key)
}

/// The name of another tenant's key in Workers KV.
pub fn kv_key_of(tenant: &str, key: &str) -> String {
    format!("{tenant}/{key}")
}

/// The URL of a key in the Cache API: under a path of the edge's own.
pub fn cache_url(key: &str) -> String {
    cache_url_of(TENANT, key)
}

/// The URL of another tenant's key in the Cache API.
pub fn cache_url_of(tenant: &str, key: &str) -> String {
    format!("https://localhost/cache/stored/{tenant}/{key}")
}

/// Where the data centre's copy of the tenant's counters lies in the Cache API.
pub fn counters_url() -> String {
    format!("https://localhost/cache/counters/{TENANT}")
}

/// True if answers with this key are kept in KV too.
pub fn is_hot(key: &str) -> bool {
    all_kept().iter().any(|kept| kept.key == key && kept.hot)
}

impl Edge {
    /// The body that the Cache API holds under this key.
    pub fn in_cache(&self, key: &str) -> Option<String> {
        let (_, body) = self.cache.get(CACHE, &cache_url(key))?;
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    /// The URLs of the answers that the Cache API holds. It holds a copy of the counters too.
    pub fn answers_in_cache(&self) -> Vec<String> {
        self.cache.urls(CACHE).into_iter().filter(|url| *url != counters_url()).collect()
    }

    /// How many operations of this kind the Cache API saw for answers.
    pub fn answer_count(&self, op: Op) -> usize {
        let log = self.cache_face.log();
        log.iter().filter(|(logged, key)| *logged == op && !key.contains("/cache/counters/")).count()
    }

    /// The body that KV holds under this key.
    pub fn in_kv(&self, key: &str) -> Option<String> {
        let value = self.kv.get(&kv_key(key))?;
        Some(String::from_utf8_lossy(&value.bytes).into_owned())
    }

    /// Waits until the stores hold this body: the Cache API, and KV if the route is hot.
    #[track_caller]
    pub fn wait_until_kept(&self, key: &str, body: &str) {
        let hot = is_hot(key);
        self.wait_until("the answer is in the stores", |edge| {
            edge.in_cache(key).as_deref() == Some(body) && (!hot || edge.in_kv(key).as_deref() == Some(body))
        });
    }

    /// Lets the origin answer so, fetches it once, and waits until it is stored.
    #[track_caller]
    pub fn fill(&self, target: &str, key: &str, fact: &str) -> Response {
        self.origin.answer(target, Answer::tile(fact));
        let response = self.get(target).expect(200).stored(true).says(fact).origin_requests(1);
        self.wait_until_kept(key, &response.text());
        response
    }

    /// A hit of this fact, without a question to the origin.
    #[track_caller]
    pub fn is_hit(&self, target: &str, fact: &str) {
        self.get(target).expect(200).hit().says(fact).origin_requests(0);
    }
}
