//! The cost of verification: hits of one warm tile in each access mode, side by side, in CPU time of workerd.
//!
//! Each mode has a workerd of its own, and they take turns, so that whatever else the machine does disturbs all alike.
//! Credentials are made before they are measured with. CPU time is that of the whole process: runtime and Worker.

use std::fmt;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Edge, Options, url};
use crate::issuer::{assertion, key_set};
use crate::origin::{Answer, Origin};
use crate::session::{ANNS, Session, now};
use crate::stored::SALES;
use crate::wire::{BodyReader, Framing, read_head};

/// A session token that is new to the edge may cost so much more than no token, in microseconds of CPU time.
const MAY_COST: f64 = 150.0;
/// So many hits are not measured before each round, so that what is due once in a while is done.
const WARM_UP: usize = 20;
/// What Access signs for.
const AUDIENCE: &str = "an-application-for-tests";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// How often each mode has its turn.
    pub rounds: usize,
    /// How many hits that is each time.
    pub hits: usize,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Session { seen: bool },
    Assertion { seen: bool },
}

/// The modes, by the names that the report gives them. The first is what the others are compared with.
const MODES: [(&str, Shown); 5] = [
    ("open", Shown::Nothing),
    ("session, token unseen", Shown::Session { seen: false }),
    ("session, token seen", Shown::Session { seen: true }),
    ("access, assertion unseen", Shown::Assertion { seen: false }),
    ("access, assertion seen", Shown::Assertion { seen: true }),
];
/// The mode that is judged.
const JUDGED: usize = 1;

impl Shown {
    fn start(self, issuer: &str) -> Edge {
        let edge = match self {
            Self::Nothing => Options::built().start(),
            Self::Session { .. } => Options::built().session().start(),
            Self::Assertion { .. } => {
                let options = Options::built().var("ACCESS_MODE", "access").without_var("TENANT");
                let options = options.var("ACCESS_TEAM", issuer).var("ACCESS_AUDIENCE", AUDIENCE);
                let edge = options.var("ACCESS_TENANTS", r#"{"claim":"custom.shop"}"#).start();
                edge.list(ANNS, true);
                edge
            }
        };
        edge.origin.answer(SALES, Answer::tile("warm"));
        edge
    }

    /// So many requests as they go on the wire, with one credential or with one each.
    fn requests(self, issuer: &str, count: usize) -> Vec<Vec<u8>> {
        let fields = |number: usize| match self {
            Self::Nothing => String::new(),
            Self::Session { .. } => {
                format!("Authorization: {}\r\n", Session::of(ANNS).claim("jti", format!("{number}")).bearer())
            }
            Self::Assertion { .. } => {
                let now = now();
                let claims = json!({
                    "iss": issuer, "aud": [AUDIENCE], "sub": "42", "email": "ann@shop.test", "type": "app",
                    "iat": now, "nbf": now, "exp": now + 3600, "identity_nonce": format!("{number}"),
                    "custom": { "shop": ANNS },
                });
                format!("Cf-Access-Jwt-Assertion: {}\r\n", assertion("one", &claims))
            }
        };
        let request = |fields: String| format!("GET {SALES} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes();
        match self {
            Self::Session { seen: false } | Self::Assertion { seen: false } => {
                (0..count).map(|number| request(fields(number))).collect()
            }
            _ => vec![request(fields(0)); count],
        }
    }
}

impl Rounds {
    /// What is reported.
    pub const ORDINARY: Self = Self { rounds: 10, hits: 500 };

    /// Starts each mode, and lets them take turns.
    pub fn run(self) -> Report {
        let issuer = Origin::start();
        issuer.answer("/cdn-cgi/access/certs", Answer::bytes("application/json", key_set(&["one"])));
        let team = url(issuer.address());
        let edges = MODES.map(|(_, shown)| shown.start(&team));
        let mut costs: [Vec<f64>; MODES.len()] = Default::default();
        for _ in 0..self.rounds {
            for ((edge, (_, shown)), costs) in edges.iter().zip(MODES).zip(&mut costs) {
                let requests = shown.requests(&team, WARM_UP + self.hits);
                costs.push(turn(edge, &requests));
            }
        }
        let open = costs[0].clone();
        let costs = costs.map(|rounds| {
            let more = rounds.iter().zip(&open).map(|(cost, open)| cost - open).collect();
            (Spread::of(rounds), Spread::of(more).median)
        });
        Report { rounds: self, costs, keys_asked: issuer.total() }
    }
}

/// One turn of a mode on one connection: CPU time of a hit in microseconds.
fn turn(edge: &Edge, requests: &[Vec<u8>]) -> f64 {
    let stream = TcpStream::connect(edge.workerd.address()).expect("workerd listens");
    stream.set_nodelay(true).expect("a socket");
    let mut connection = BufReader::new(stream);
    let (warm_up, measured) = requests.split_at(WARM_UP);
    for request in warm_up {
        exchange(&mut connection, request);
    }
    edge.wait_until("the tile is stored", |edge| !edge.answers_in_cache().is_empty());
    let before = edge.workerd.cpu_time();
    for request in measured {
        let status = exchange(&mut connection, request);
        assert!(status.contains("; hit"), "not a hit: {status}");
    }
    micros(edge.workerd.cpu_time().saturating_sub(before)) / count(measured.len())
}

/// Asks, reads the whole answer, and says what its Cache-Status was.
fn exchange(connection: &mut BufReader<TcpStream>, request: &[u8]) -> String {
    connection.get_mut().write_all(request).expect("workerd reads");
    let head = read_head(connection).ok().flatten().expect("an answer");
    assert!(head.start.starts_with("HTTP/1.1 200"), "{}", head.start);
    let framing = Framing::of_answer("GET", 200, &head.fields).expect("a framing");
    BodyReader::new(framing).rest(connection).expect("a whole body");
    head.fields.get("Cache-Status").unwrap_or_default().to_owned()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a number of this size"))
}

/// Of the rounds the best, the one in the middle, and the worst.
#[derive(Clone, Copy, Debug)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |part: usize| rounds[(rounds.len() - 1) * part / 2];
        Self { least: at(0), median: at(1), most: at(2) }
    }
}

/// What it costs in each mode.
#[derive(Debug)]
pub struct Report {
    rounds: Rounds,
    /// CPU time of a hit, and how much more it is than in the first mode's turn beside it (the median of that).
    costs: [(Spread, f64); MODES.len()],
    /// How often the issuer was asked for its keys.
    pub keys_asked: usize,
}

impl Report {
    /// What is too much, in a sentence.
    pub fn failure(&self) -> Option<String> {
        let (_, more) = self.costs[JUDGED];
        let too_much = format!("{}: {more:.0} µs more than {}; {MAY_COST:.0} µs may be", MODES[JUDGED].0, MODES[0].0);
        (more > MAY_COST).then_some(too_much)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rounds { rounds, hits } = self.rounds;
        writeln!(f, "CPU time of workerd for a hit of a tile at the edge, in µs; {rounds} rounds of {hits} hits each")?;
        writeln!(f, "{:<26} {:>7} {:>7} {:>7}   {:>6} {:>6}", "", "least", "median", "most", "more", "ratio")?;
        let (Spread { median: open, .. }, _) = self.costs[0];
        for ((name, _), (Spread { least, median, most }, more)) in MODES.iter().zip(self.costs) {
            let ratio = (open + more) / open;
            writeln!(f, "{name:<26} {least:>7.0} {median:>7.0} {most:>7.0}   {more:>+6.0} {ratio:>6.2}")?;
        }
        Ok(())
    }
}
