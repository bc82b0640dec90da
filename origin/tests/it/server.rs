//! Origins for tests, each in a thread of its own.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reference_origin::{Config, DEFAULT_SEED, Origin, Patience};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::client::{self, Answer};

/// The shop that is meant when none is named.
pub const DEFAULT_SHOP: &str = "hotroddash.myshopify.com";
pub const SHOPS: [&str; 3] = [DEFAULT_SHOP, "chrome-alley.myshopify.com", "lakeside-speed.myshopify.com"];

/// When the clock of most tests starts: a Friday afternoon.
pub const NOW: &str = "2026-11-20T14:05:00Z";

/// Every route that an edge may keep. (Ninety days of categories differ from thirty in length alone.)
pub const DASHBOARD: [&str; 20] = [
    "/api/dashboard/tiles/sales-pulse",
    "/api/dashboard/tiles/inventory",
    "/api/dashboard/tiles/fulfillment",
    "/api/dashboard/tiles/cx",
    "/api/dashboard/tiles/ops",
    "/api/dashboard/kpi/summary",
    "/api/dashboard/trends/revenue?days=30",
    "/api/dashboard/trends/revenue?days=90",
    "/api/dashboard/trends/categories?days=30",
    "/api/dashboard/products/top",
    "/api/dashboard/products/performance",
    "/api/dashboard/alerts/critical",
    "/api/dashboard/alerts/all",
    "/api/dashboard/segments",
    "/api/dashboard/growth/metrics",
    "/api/dashboard/growth/milestones",
    "/api/dashboard/metrics/ytd",
    "/api/dashboard/time-savings",
    "/api/dashboard/compare/yoy",
    "/api/dashboard/compare/qoq",
];

pub struct Server {
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    file: Option<PathBuf>,
}

impl Server {
    /// An origin with that seed, whose clock starts at that moment.
    pub fn start(seed: u32, now: &str) -> Self {
        Self::with(Config { seed, ..at(now) })
    }

    fn with(config: Config) -> Self {
        let file = config.db.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell_port, port) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let origin = Origin::start(config).await.expect("the origin starts");
                tell_port.send(origin.port()).expect("the test waits");
                let stop = async { drop(stopped.await) };
                origin.run(stop).await.expect("the origin runs");
            });
        });
        let port = port.recv().expect("the origin starts");
        Self { port, stop: Some(stop), thread: Some(thread), file }
    }

    /// An origin of this test's own, on a copy of a database that was seeded once.
    pub fn own() -> Self {
        Self::own_at(NOW)
    }

    /// The same, but its clock starts at another moment of that day.
    pub fn own_at(now: &str) -> Self {
        Self::with(Config { db: Some(seeded_copy()), ..at(now) })
    }

    /// The same, and it tells an edge what changed: longer than an answer waits, or eight times in about a second.
    pub fn telling(edge: &str) -> Self {
        let patience = Patience { attempt: Duration::from_secs(4), first_delay: Duration::from_millis(10) };
        let edge = Some(edge.parse().expect("an edge"));
        Self::with(Config { db: Some(seeded_copy()), edge, patience, ..at(NOW) })
    }

    /// The same, and it answers only who shows this secret.
    pub fn guarded(secret: &str) -> Self {
        let edge_secret = Some(secret.parse().expect("a secret"));
        Self::with(Config { db: Some(seeded_copy()), edge_secret, ..at(NOW) })
    }

    /// The same as `own`, for this app.
    pub fn of_app(key: &str, secret: &str) -> Self {
        let [app_key, app_secret] = [key, secret].map(|text| Some(text.parse().expect("a word")));
        Self::with(Config { db: Some(seeded_copy()), app_key, app_secret, ..at(NOW) })
    }

    /// An origin for all tests that change nothing.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(DEFAULT_SEED, NOW))
    }

    pub fn get(&self, path: &str, shop: &str) -> Answer {
        client::ask(self.port, "GET", path, &[("x-shop-domain", shop)], "")
    }

    /// The JSON of a 200.
    #[track_caller]
    pub fn json(&self, path: &str, shop: &str) -> Value {
        let answer = self.get(path, shop);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.complete, "{path}");
        answer.json()
    }

    /// The data of a 200, in whichever envelope.
    #[track_caller]
    pub fn data(&self, path: &str, shop: &str) -> Value {
        let mut json = self.json(path, shop);
        assert!(json["status"] == "ok" || json["success"] == true, "{path}");
        json["data"].take()
    }

    /// What is not of the moment.
    #[track_caller]
    pub fn figures(&self, path: &str, shop: &str) -> Value {
        let mut json = self.json(path, shop);
        drop_volatile(&mut json);
        json
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        client::ask(self.port, "POST", path, &[], body)
    }

    /// Makes an event or arms a fault.
    #[track_caller]
    pub fn create(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, &body.to_string());
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the origin's thread ends well");
        }
        if let Some(file) = self.file.take() {
            // What is left of it lies in the folder for tests, and does no harm.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// On any port, with a clock that starts at that moment.
fn at(now: &str) -> Config {
    let now: DateTime<Utc> = now.parse().expect("a moment");
    Config { port: 0, now: Some(now), ..Config::default() }
}

/// A copy of a database that was seeded once, by an origin that nothing was asked of.
pub fn seeded_copy() -> PathBuf {
    static SEEDED: OnceLock<Vec<u8>> = OnceLock::new();
    static COPIES: AtomicU32 = AtomicU32::new(1);
    let seeded = SEEDED.get_or_init(|| {
        let file = file_of(0);
        let mut seeding = Server::with(Config { db: Some(file.clone()), ..at(NOW) });
        seeding.file = None;
        drop(seeding);
        let seeded = std::fs::read(&file).expect("the database is there");
        std::fs::remove_file(file).expect("it goes");
        seeded
    });
    let file = file_of(COPIES.fetch_add(1, Ordering::Relaxed));
    std::fs::write(&file, seeded).expect("the copy is written");
    file
}

/// A file for a database, in the folder that cargo has for tests.
fn file_of(copy: u32) -> PathBuf {
    let name = format!("origin-{}-{copy}.db", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Leaves out the fields that are other in every answer.
pub fn drop_volatile(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for volatile in ["fact", "timestamp", "generatedAt", "generated_at"] {
                fields.remove(volatile);
            }
            fields.values_mut().for_each(drop_volatile);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_volatile),
        _ => {}
    }
}
