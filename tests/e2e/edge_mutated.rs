//! Thousands of mutated requests against an origin that echoes all it gets: what others are served stays the same.

use lab::client::Call;
use lab::harness::{Edge, OPERATOR_TOKEN};
use lab::origin::{Answer, Recorded};
use lab::purge::purge_call;
use lab::stored::{all_kept, cache_url, kv_key};

/// How many requests: ordinarily, and with `HOTROD_LONG=1`.
const ROUNDS: [usize; 2] = [2_000, 10_000];

/// Numbers that look random and are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("less than a usize")
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const PIECES: [&str; 30] = [
    "/",
    "//",
    "/.",
    "/..",
    ".",
    "%2e",
    "%2f",
    "%5c",
    "\\",
    ";evil",
    "%3b",
    "%00",
    "%0d%0aevil:1",
    "?",
    "?days=30",
    "?days=90",
    "&days=30",
    "?utm_source=evil",
    "&_=evil",
    "?nocache=true",
    "?evil",
    "#evil",
    "%",
    "%zz",
    "e%76il",
    "evil.css",
    "\u{e9}vil",
    "%C3%A9",
    "+",
    "=",
];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "HEAD", "POST", "PURGE", "OPTIONS", "DELETE"];
const NAMES: [&str; 20] = [
    "X-Forwarded-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "Cookie",
    "Authorization",
    "Accept",
    "Accept-Encoding",
    "Range",
    "If-None-Match",
    "If-Modified-Since",
    "Cache-Control",
    "Connection",
    "Upgrade",
    "Origin",
    "X-Shop-Domain",
    "Edge-Secret",
    "CF-Worker",
    "Vary",
    "hotrod-head",
];
const VALUES: [&str; 8] = ["evil", "*", "close, evil", "no-cache, evil", "bytes=0-1", "text/html;evil", "\"evil\"", ""];

fn mutated(numbers: &mut Numbers, target: &str) -> Call {
    let mut mutated = target.to_owned();
    for _ in 0..numbers.below(3) {
        let ends: Vec<usize> = mutated.char_indices().map(|(at, _)| at).collect();
        // Half of them at the end, where they look like a suffix or a query.
        let at = if numbers.below(2) == 0 { mutated.len() } else { ends[numbers.below(ends.len())] };
        mutated.insert_str(at.max(1), numbers.one_of(&PIECES));
    }
    let mut call = Call::new(numbers.one_of(&METHODS), mutated);
    for _ in 0..numbers.below(4) {
        call = call.field(numbers.one_of(&NAMES), numbers.one_of(&VALUES));
    }
    if numbers.below(5) == 0 { call.body("evil=1") } else { call }
}

/// All that the origin got, but for the name of the request.
fn echo(request: &Recorded, _: usize) -> Answer {
    let mut fields = request.fields.clone();
    fields.remove("X-Request-Id");
    let body = String::from_utf8_lossy(&request.body);
    Answer::tile(&format!("{} {} {:?} {body}", request.method, request.target, fields.0))
}

#[test]
fn whatever_a_stranger_sends_others_are_served_the_same() {
    let long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    let rounds = ROUNDS[usize::from(long)];
    let edge = Edge::start();
    let routes = all_kept();
    for kept in &routes {
        edge.origin.script(&kept.target, echo);
        edge.origin.script(kept.target.split('?').next().unwrap_or_default(), echo);
    }
    let mut numbers = Numbers(0x5eed_1234_abcd_0001);
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for round in 0..rounds {
        let kept = &routes[numbers.below(routes.len())];
        let call = mutated(&mut numbers, &kept.target);
        // An upgrade that is refused, or a connection that workerd closes, is an answer too.
        if let Ok(answer) = call.open(edge.workerd.address()) {
            *statuses.entry(answer.status).or_default() += 1;
            assert!(answer.status != 500, "{call}: {:?} {}", answer.fields, edge.workerd.log());
        }
        if round % 1_000 == 999 {
            // What a stranger's write made out of date is being renewed at the same time.
            let purge = purge_call(OPERATOR_TOKEN, r#"{"mode":"hard","all":true}"#);
            let answer = purge.send(edge.workerd.address()).expect("an answer");
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
    }
    println!("answers by status: {statuses:?}");
    for kept in &routes {
        let answer = Call::get(&kept.target).send(edge.workerd.address()).expect("an answer");
        assert!(answer.status == 200 && !answer.text().contains("evil"), "{}: {}", kept.target, answer.text());
        let says = answer.json()["fact"]["says"].as_str().unwrap_or_default().to_owned();
        assert!(says.starts_with(&format!("GET {} ", kept.target)), "{says}");
    }
    let known = |name: fn(&str) -> String| routes.iter().map(|kept| name(&kept.key)).collect::<Vec<_>>();
    let (urls, keys) = (known(cache_url), known(kv_key));
    let strangers: Vec<_> = edge.answers_in_cache().into_iter().filter(|url| !urls.contains(url)).collect();
    let more: Vec<_> = edge.kv.keys().into_iter().filter(|key| !keys.contains(key)).collect();
    assert_eq!((strangers, more), (Vec::new(), Vec::new()), "the stores hold what no route has");
    let forwarded = edge.origin.total();
    assert!(forwarded > 0 && forwarded < rounds, "{forwarded} requests at the origin");
}
