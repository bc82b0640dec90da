//! What the README tells a newcomer to do: `cargo xtask dev`, the Worker under `wrangler dev` in front of the
//! reference origin, and then the same requests.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hotrod_edge::rules::{Accepts, Disposition, Route, Segment, compiled};
use hotrod_edge::time::{UnixMillis, rfc3339};
use lab::cache_status::{CacheStatus, parse};
use lab::client::{Call, Response};
use lab::config::root;
use lab::stored::SALES;
use serde_json::Value;

/// The operator's token of a development machine.
const OPERATOR: &str = "Bearer dev-operator-token";
/// `cargo xtask dev` prints this when both answer.
const READY: &str = "Ready after";

/// Both servers, until this is dropped.
struct Dev {
    command: Child,
    edge: SocketAddr,
    origin: SocketAddr,
}

impl Dev {
    fn start(access: &str) -> Self {
        let (edge, origin) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO"))
            .args(["xtask", "dev", "--port", &edge.to_string(), "--origin-port", &origin.to_string()])
            .args(["--access", access])
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A group of its own, as a terminal would give it, so that Ctrl-C reaches all of it.
            .process_group(0)
            .spawn()
            .expect("cargo starts");
        let mut lines = BufReader::new(command.stdout.take().expect("a pipe")).lines();
        // It gives up by itself when one of the two does not answer.
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with(READY));
        // What it prints later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let dev = Self { command, edge: local(edge), origin: local(origin) };
        assert!(ready, "`cargo xtask dev` ended before both answered");
        dev
    }

    fn get(&self, target: &str) -> Response {
        self.send(&Call::get(target))
    }

    fn send(&self, call: &Call) -> Response {
        let response = call.send(self.edge).unwrap_or_else(|error| panic!("{call}: {error}"));
        assert_eq!(response.status, 200, "{call}: {}", response.text());
        response
    }

    /// Sells something for this much: the receipt of the edge, as the origin got it.
    fn sell(&self, total: f64) -> Value {
        let call = Call::new("POST", "/dev/orders").body(format!(r#"{{"total":{total}}}"#));
        let answer = call.send(self.origin).expect("the origin answers");
        assert_eq!(answer.status, 201, "{}", answer.text());
        let events = answer.json()["events"].as_array().cloned().unwrap_or_default();
        let told = events.into_iter().find(|event| event["type"] == "order.created").expect("the event of an order");
        assert_eq!(told["status"], 202, "{told}");
        told["receipt"].clone()
    }

    /// How often the reference origin was asked for a path.
    fn asked(&self, path: &str) -> u64 {
        let counts = Call::get("/dev/requests").send(self.origin).expect("the origin answers").json();
        counts["requests"][path].as_u64().unwrap_or(0)
    }

    /// Ctrl-C, and then everything is gone.
    fn interrupt(&mut self) {
        let group = format!("-{}", self.command.id());
        Command::new("kill").args(["-INT", "--", &group]).status().expect("kill runs");
        self.command.wait().expect("`cargo xtask dev` ends");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.command.try_wait().is_ok_and(|status| status.is_none()) {
            self.interrupt();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn status(response: &Response) -> CacheStatus {
    let field = response.field("Cache-Status").unwrap_or_default();
    parse(field).unwrap_or_else(|why| panic!("{field:?}: {why}")).pop().expect("one cache")
}

/// What was sold today, in cents.
fn sold(tile: &Response) -> i64 {
    let revenue = tile.json()["data"]["total_revenue"].as_f64().unwrap_or_else(|| panic!("{}", tile.text()));
    format!("{:.0}", revenue * 100.0).parse().expect("a number")
}

/// Now, as receipts write times.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    rfc3339(UnixMillis(u64::try_from(now).expect("a clock of this age")))
}

/// What the origin sells is on the tile: at once for whoever shows the receipt's token, and for all others by the time
/// that the receipt promises.
fn what_is_sold_is_shown(dev: &Dev) {
    let before = sold(&dev.get(SALES));
    assert!(status(&dev.get(SALES)).hit);
    let receipt = dev.sell(100.25);
    let token = receipt["token"].as_str().expect("a token");
    let shown = dev.send(&Call::get(SALES).field("X-Newer-Than", token));
    assert_eq!(sold(&shown), before + 10_025, "{receipt}");

    let receipt = dev.sell(50.5);
    let by = receipt["effective_by_class"]["near_real_time"].as_str().expect("a time");
    loop {
        let asked = now();
        let shown = sold(&dev.get(SALES));
        if shown == before + 15_075 {
            break;
        }
        assert_eq!(shown, before + 10_025);
        assert!(*asked < *by, "at {asked} the tile shows what was sold before {receipt}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = receipt["id"].as_str().expect("an id");
    let read = dev.send(&Call::get(format!("/cache/receipts/{id}")).field("Authorization", OPERATOR)).json();
    assert_eq!(read["effective_by_class"]["near_real_time"], by);
    assert_eq!(read["event"]["source"], "standard");
}

fn path(route: &Route) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Parameter { name, suffix } => format!("/{name}{suffix}"),
        Segment::Rest => "/a/b".to_string(),
    };
    route.path.iter().map(segment).collect()
}

/// Every stored route with every listed value of its parameters, but for those that need a role.
fn targets() -> Vec<(String, String)> {
    let mut targets = Vec::new();
    for (route, stored) in compiled().stored().filter(|(route, _)| route.roles.is_empty()) {
        let path = path(route);
        let mut queries = vec![String::new()];
        for parameter in stored.shape().expect("a class that decides").query.iter() {
            let Accepts::OneOf(values) = &parameter.accepts else { panic!("{}: values to try", route.name) };
            queries = values.iter().map(|value| format!("?{}={value}", parameter.name)).collect();
        }
        targets.extend(queries.into_iter().map(|query| (path.clone(), format!("{path}{query}"))));
    }
    targets
}

/// One test, since one start serves all of it.
#[test]
fn a_newcomer_sees_misses_then_hits_and_live_routes_live() {
    let mut dev = Dev::start("open");
    for (path, target) in targets() {
        let before = dev.asked(&path);
        let first = dev.get(&target);
        assert_eq!(status(&first).fwd.as_deref(), Some("uri-miss"), "{target}");
        // The answer is put into the store when it is on its way, so it may take a moment.
        let until = Instant::now() + Duration::from_secs(2);
        let second = loop {
            let second = dev.get(&target);
            if status(&second).hit || Instant::now() > until {
                break second;
            }
        };
        assert!(status(&second).hit, "{target}: {:?}", second.fields);
        assert!(status(&second).ttl.is_some_and(|ttl| ttl > 0), "{target}: {:?}", second.fields);
        assert!(second.field("Age").is_some_and(|age| age.parse::<u32>().is_ok()), "{target}: {:?}", second.fields);
        assert_eq!(second.body, first.body, "{target}");
        assert_eq!(dev.asked(&path), before + 1, "{target}");
    }

    let live = compiled().routes.iter().find(|route| route.disposition == Disposition::Live).expect("a live route");
    for count in 1..=2 {
        let response = dev.get(&path(live));
        assert_eq!(response.field("Cache-Control"), Some("no-store"));
        assert_eq!(dev.asked(&path(live)), count);
    }

    what_is_sold_is_shown(&dev);

    let purge =
        Call::new("POST", "/cache/purge").field("Authorization", OPERATOR).body(r#"{"mode":"hard","all":true}"#);
    assert_eq!(purge.send(dev.edge).expect("an answer").status, 202);
    let (path, target) = targets().swap_remove(0);
    let before = dev.asked(&path);
    assert_eq!(status(&dev.get(&target)).detail.as_deref(), Some("purged"));
    assert_eq!(dev.asked(&path), before + 1);

    dev.interrupt();
    for address in [dev.edge, dev.origin] {
        assert!(TcpListener::bind(address).is_ok(), "{address} is free again");
    }
}

#[test]
fn a_newcomer_reads_by_session_and_sees_one_shop_at_a_time() {
    let mut dev = Dev::start("session");
    let shops = Call::get("/dev/shops").send(dev.origin).expect("an answer").json();
    let [first, second] =
        ["0", "1"].map(|at| shops.pointer(&format!("/shops/{at}")).and_then(Value::as_str).expect("a shop"));
    let token = |shop: &str| {
        let minted = Call::get(format!("/dev/session-token?shop={shop}")).send(dev.origin).expect("an answer").json();
        format!("Bearer {}", minted["token"].as_str().expect("a token"))
    };
    let tile = |shop: &str| dev.send(&Call::get(SALES).field("Authorization", token(shop)));
    let mine = tile(first);
    assert_eq!(mine.field("Cache-Control"), Some("private, max-age=0"));
    assert_eq!(mine.field("Vary"), Some("authorization"));
    assert_eq!(mine.json()["data"]["shop_domain"], first);
    let others = tile(second);
    assert_eq!(others.json()["data"]["shop_domain"], second);
    assert_ne!(sold(&mine), sold(&others));
    for target in [SALES, "/api/realtime/sla", "/api/exports/orders.csv"] {
        let refused = Call::get(target).send(dev.edge).expect("an answer");
        assert_eq!(
            (refused.status, refused.field("WWW-Authenticate")),
            (401, Some("Bearer realm=\"hotrod-edge\"")),
            "{target}"
        );
        // Nobody gets around the edge.
        assert_eq!(
            Call::get(target).field("X-Shop-Domain", first).send(dev.origin).expect("an answer").status,
            403,
            "{target}"
        );
    }
    assert_eq!(Call::get("/api/public/status").send(dev.edge).expect("an answer").status, 200);
    let body = format!(r#"{{"url":"{SALES}"}}"#);
    let refresh = Call::new("POST", "/cache/refresh").field("Authorization", token(first)).body(body);
    assert_eq!(dev.send(&refresh).json()["refreshed"], true);
    assert_eq!(dev.send(&refresh).json()["refreshed"], false);
    dev.interrupt();
}
