//! Readers of two shops in all locations, while purges, events and writes come in: each request is random, and so is the
//! credential that it shows. No answer, and nothing that is stored, is ever another shop's; a token that holds is never
//! refused, and one that is over opens nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lab::client::{Call, Response};
use lab::gate::lock;
use lab::harness::{CACHE, OPERATOR_TOKEN, ORIGIN_SECRET, wait_until};
use lab::origin::{Answer, Recorded};
use lab::promise::{Moment, now};
use lab::purge::purge_call;
use lab::session::{ANNS, BENS, Session};
use lab::stored::{Kept, all_kept};
use lab::{Lab, Layout, webhook};
use serde_json::{Value, json};

use crate::lab_storm::{Random, say};

/// A shop of which nobody has heard.
const CARLS: &str = "carls.myshopify.com";
/// What the origin says to each shop, to a role, and to nobody in particular. No answer tells a reader another one's.
/// No digest and no id, in hexadecimal, can hold one of them by chance.
const MARKERS: [(&str, &str); 3] = [(ANNS, "zanns"), (BENS, "zbens"), (CARLS, "zcarls")];
const OWNERS: &str = "zowner";
/// The one route that asks for a role.
const OWNER_SUMMARY: &str = "/api/dashboard/owner/summary";
/// What nobody may reach.
const UNREACHED: &str = "/api/reached/by/nobody";
/// Each user reads by so many threads.
const THREADS: usize = 2;
/// A Worker's clock stands still while it computes.
const STANDS_STILL: Duration = Duration::from_millis(20);

/// Somebody who reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct User {
    shop: &'static str,
    owner: bool,
}

const USERS: [User; 3] =
    [User { shop: ANNS, owner: true }, User { shop: ANNS, owner: false }, User { shop: BENS, owner: false }];

impl User {
    fn session(self) -> Session {
        let session = Session::of(self.shop);
        if self.owner { session.claim("custom", json!({"role": "owner"})) } else { session }
    }

    fn others(self) -> &'static str {
        if self.shop == ANNS { BENS } else { ANNS }
    }

    /// A token that is over in less than so many seconds, and when. It is taken for ten seconds longer than it says.
    fn token(self, seconds: u64) -> (String, Moment) {
        let over = now().as_secs() + seconds;
        (self.session().claim("exp", over - 10).claim("jti", format!("{:?}", now())).bearer(), Moment::from_secs(over))
    }
}

/// What a request shows, and what it opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    /// A token that holds until then.
    Good(Moment),
    /// One that nobody may take.
    Bad,
    /// One of a shop that is not listed.
    Unlisted,
}

/// A request, and how it is answered to whoever may read.
struct Asked {
    kind: &'static str,
    call: Call,
    answers: &'static [u16],
    /// Whether it is answered to readers alone.
    guarded: bool,
}

fn asked(kind: &'static str, call: Call, answers: &'static [u16]) -> Asked {
    Asked { kind, call, answers, guarded: true }
}

struct Run {
    lab: Lab,
    kept: Vec<Kept>,
    left: AtomicI64,
    is_over: AtomicBool,
    /// Whose each entity tag is.
    etags: Mutex<HashMap<String, &'static str>>,
    figures: Mutex<BTreeMap<(&'static str, String), usize>>,
    /// The one refusal.
    refusal: Mutex<Option<Vec<u8>>>,
}

impl Run {
    fn start(requests: i64) -> Self {
        let webhooks = webhook::setting(&[ANNS, BENS]);
        let lab = Layout::new().session(&[ANNS, BENS]).var("WEBHOOKS", &webhooks).start();
        lab.origin().otherwise(answer);
        let (left, is_over) = (AtomicI64::new(requests), AtomicBool::new(false));
        let (etags, figures, refusal) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { lab, kept: all_kept(), left, is_over, etags, figures, refusal }
    }

    fn count(&self, of: &'static str, what: &str) {
        *lock(&self.figures).entry((of, what.to_string())).or_default() += 1;
    }

    fn counted(&self, of: &str, what: &str) -> usize {
        let figures = lock(&self.figures);
        figures.iter().filter(|((kind, figure), _)| *kind == of && figure == what).map(|(_, count)| count).sum()
    }

    /// Reads with one token after another, each until it is over and a little longer.
    fn read(&self, user: User, mut random: Random) {
        let _ends = Ends(&self.is_over);
        let (mut token, mut over) = user.token(1 + random.below(4));
        let (mut position, mut etag) = (String::new(), String::new());
        while !self.is_over.load(Ordering::SeqCst) && self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            let (shown, bearer) = match random.below(12) {
                0 => (Shown::Bad, bad(user, &token, &mut random)),
                1 if random.below(4) == 0 => (Shown::Unlisted, Session::of(CARLS).bearer()),
                _ => (Shown::Good(over), token.clone()),
            };
            let mut asked = self.some_request(&mut random, &etag);
            let call = disguised(asked.call, user, &bearer, &mut random);
            asked.call = if random.below(6) == 0 { call.field("X-Newer-Than", &position) } else { call };
            let before = now();
            let answer = self.send(&asked, user, shown, &mut random);
            let is_own = matches!(shown, Shown::Good(_)) && answer.status < 300;
            if let Some(new) = answer.field("Epoch-Token").filter(|_| is_own) {
                new.clone_into(&mut position);
            }
            if let Some(new) = answer.field("ETag").filter(|_| is_own) {
                new.clone_into(&mut etag);
            }
            if before > over + STANDS_STILL && asked.guarded && shown == Shown::Good(over) {
                self.count("tokens", "used after their end");
                if random.below(3) == 0 {
                    (token, over) = user.token(1 + random.below(4));
                    self.count("tokens", "taken anew");
                }
            }
        }
    }

    /// Anything that one may ask for.
    fn some_request(&self, random: &mut Random, etag: &str) -> Asked {
        let target = &random.favour(&self.kept).target;
        let mark = if target.contains('?') { '&' } else { '?' };
        match random.below(24) {
            0 => asked("HEAD", Call::new("HEAD", target), &[200]),
            1 => asked("noise", Call::get(format!("{target}{mark}utm_source=x&_={}", random.below(1 << 40))), &[200]),
            2 => asked("past the store", Call::get(format!("{target}{mark}nocache=true")), &[200]),
            3 => asked("live", Call::get(*random.pick(&["/api/realtime/sla", "/api/realtime/inventory/x"])), &[200]),
            4 => asked("bypass", Call::get(*random.pick(&["/api/exports/all.csv", "/api/orders"])), &[200]),
            5 => asked("unlisted", Call::get("/api/something/else?days=30"), &[200]),
            6 => asked("by another method", Call::new("PUT", target).body("x"), &[200]),
            7 => asked("write", Call::new("POST", "/api/orders").body("{}"), &[200]),
            8 => {
                let body = json!({"url": target}).to_string();
                asked("refresh", Call::new("POST", "/cache/refresh").body(body), &[200])
            }
            9 => asked("role", Call::get(OWNER_SUMMARY), &[200]),
            10 => open("public", "/api/public/status", &[200]),
            11 => open(
                "malformed",
                random.pick::<&str>(&["/api//realtime/sla", "/api/x%2fy", "/api/caf\u{e9}", "/api/%"]),
                &[400],
            ),
            12 => open("query refused", "/api/dashboard/trends/revenue?days=31", &[400]),
            13 => open("nobody's", random.pick::<&str>(&["/", "/apix", "/api"]), &[404]),
            14..=17 => asked("condition", Call::get(target).field("If-None-Match", etag), &[200, 304]),
            18 => {
                let tags: Vec<_> = lock(&self.etags).keys().cloned().collect();
                let any = if tags.is_empty() { "\"x\"".to_owned() } else { random.pick(&tags).clone() };
                asked("anybody's condition", Call::get(target).field("If-None-Match", any), &[200, 304])
            }
            _ => asked("stored", Call::get(target), &[200]),
        }
    }

    /// Sends it anywhere, and judges the answer.
    fn send(&self, asked: &Asked, user: User, shown: Shown, random: &mut Random) -> Response {
        // What is refused must not reach the origin, so it may name what nobody may reach.
        let unreached = Call::get(UNREACHED).field("Authorization", bad(user, "Bearer x", random));
        if random.below(40) == 0 {
            let refused = self.lab.at(random.location()).ask(&unreached);
            self.judge_refusal("unreached", &refused);
        }
        let began = now();
        let answer = self.lab.at(random.location()).ask(&asked.call);
        let ended = now();
        self.count(asked.kind, &answer.status.to_string());
        let context = format!("{} {} by {user:?} who shows {shown:?}", asked.kind, asked.call);
        let must = match shown {
            _ if !asked.guarded => asked.answers.to_vec(),
            Shown::Good(over) if ended < over => Self::opened(asked, user),
            Shown::Good(over) if began > over + STANDS_STILL => vec![401],
            // It ended on its way.
            Shown::Good(_) => [&Self::opened(asked, user)[..], &[401]].concat(),
            Shown::Bad => vec![401],
            Shown::Unlisted => vec![403],
        };
        assert!(must.contains(&answer.status), "{context}: {} {:?} {}", answer.status, answer.fields, answer.text());
        if answer.status == 401 {
            self.judge_refusal(&context, &answer);
        }
        self.judge_contents(&context, asked, user, &answer);
        answer
    }

    fn opened(asked: &Asked, user: User) -> Vec<u16> {
        if asked.kind == "role" && !user.owner { vec![403] } else { asked.answers.to_vec() }
    }

    /// One and the same, whatever is wrong, and nothing of anybody's in it.
    fn judge_refusal(&self, context: &str, answer: &Response) {
        assert_eq!(answer.status, 401, "{context}: {}", answer.text());
        assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer realm=\"hotrod-edge\""), "{context}");
        assert_eq!(answer.field("Cache-Control"), Some("no-store"), "{context}");
        for field in ["ETag", "Cache-Status", "Epoch-Token", "Age", "Content-Language"] {
            assert_eq!(answer.field(field), None, "{context}: {field}");
        }
        if !answer.body.is_empty() {
            let mut refusal = lock(&self.refusal);
            assert_eq!(*refusal.get_or_insert_with(|| answer.body.clone()), answer.body, "{context}");
        }
    }

    /// The reader's own, where there is anything, and nobody else's.
    fn judge_contents(&self, context: &str, asked: &Asked, user: User, answer: &Response) {
        let text = format!("{:?} {}", answer.fields, answer.text());
        let is_own = answer.status < 300 && asked.guarded && asked.kind != "refresh";
        for (shop, marker) in MARKERS {
            let may = shop == user.shop && (is_own || answer.status == 304);
            assert!(may || !text.contains(marker), "{context}: {marker} in {} {text}", answer.status);
            assert!(shop != user.shop || !is_own || text.contains(marker), "{context}: no {marker} in {text}");
        }
        assert_eq!(text.contains(OWNERS), asked.kind == "role" && answer.status == 200, "{context}: {text}");
        if let Some(etag) = answer.field("ETag") {
            let whose = *lock(&self.etags).entry(etag.to_owned()).or_insert(user.shop);
            assert_eq!(whose, user.shop, "{context}: {} {text}", answer.status);
        }
        let Some(status) = answer.field("Cache-Status") else { return };
        for (part, what) in [("; hit", "hits"), ("; stored", "fills"), ("; collapsed", "joined")] {
            if status.contains(part) {
                self.count("answers", what);
                let control = answer.field("Cache-Control").unwrap_or_default();
                assert!(control.starts_with("private"), "{context}: {control}");
                let vary = answer.field("Vary").unwrap_or_default().to_ascii_lowercase();
                assert!(vary.contains("authorization"), "{context}: {vary}");
            }
        }
    }

    /// Purges what is of one shop, and tells of what happened there.
    fn purge(&self, shop: &'static str, mut random: Random) {
        let _ends = Ends(&self.is_over);
        let mut number = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            let at = self.lab.at(random.location());
            let (what, call) = if random.below(3) == 0 {
                number += 1;
                let kind = *random.pick(&["order.created", "inventory.updated", "sla.breached", "etl.completed"]);
                ("event", webhook::event(shop, &format!("{}-{number}", shop.replace('.', "-")), kind))
            } else {
                let mode = *random.pick(&["soft", "hard"]);
                let mut body = match random.below(4) {
                    0 => json!({"urls": [random.favour(&self.kept).target]}),
                    1 => json!({"routes": [random.favour(&self.kept).route, "owner_summary"]}),
                    2 => json!({"tags": ["orders"]}),
                    _ => json!({"all": true}),
                };
                body["mode"] = mode.into();
                body["tenant"] = shop.into();
                (mode, purge_call(OPERATOR_TOKEN, body.to_string()))
            };
            let answer = at.ask(&call);
            let receipt = answer.json();
            assert_eq!((answer.status, &receipt["tenant"]), (202, &Value::from(shop)), "{call}: {}", answer.text());
            self.count("purges", what);
            random.pause(150);
        }
    }

    /// What both kinds of store hold is of the shop, and for the role, that the name says.
    fn judge_stores(&self) {
        let mut held = BTreeMap::<&str, usize>::new();
        let mut judge = |name: &str, text: &str| {
            let whose = |(shop, _): &&(&str, &str)| name.starts_with(&format!("{shop}/"));
            let (shop, own) = MARKERS[..2].iter().find(whose).unwrap_or_else(|| panic!("{name} is of no shop"));
            let others = MARKERS.iter().filter(|(_, marker)| marker != own);
            assert!(text.contains(own), "{name}: {text}");
            others.for_each(|(_, marker)| assert!(!text.contains(marker), "{name}: {text}"));
            assert_eq!(text.contains(OWNERS), name.ends_with(";role=owner"), "{name}: {text}");
            *held.entry(shop).or_default() += 1;
        };
        for name in self.lab.kv.keys() {
            if let Some(value) = self.lab.kv.get(&name) {
                judge(&name, &format!("{:?} {}", value.metadata, String::from_utf8_lossy(&value.bytes)));
            }
        }
        for location in self.lab.workers() {
            for url in location.cache().urls(CACHE) {
                let name = url.strip_prefix("https://localhost/cache/").expect("a path of the edge's own");
                let (fields, body) = location.cache().get(CACHE, &url).unwrap_or_default();
                match name.strip_prefix("stored/") {
                    Some(name) => judge(name, &format!("{fields:?} {}", String::from_utf8_lossy(&body))),
                    None => assert!([ANNS, BENS].map(|shop| format!("counters/{shop}")).contains(&name.to_owned())),
                }
            }
        }
        assert_eq!(held.len(), 2, "both shops have something stored: {held:?}");
        let total: usize = held.values().sum();
        lock(&self.figures).insert(("stored at the end", "answers".to_owned()), total);
    }

    fn report(&self, took: Duration) -> String {
        let mut lines = BTreeMap::<&str, String>::new();
        for ((of, what), count) in &*lock(&self.figures) {
            let _infallible = write!(lines.entry(of).or_default(), "  {what}: {count}");
        }
        let mut report =
            format!("{:.1} s, {} questions at the origin\n", took.as_secs_f64(), self.lab.origin().total());
        for (of, line) in lines {
            let _infallible = writeln!(report, "{of:>20}{line}");
        }
        report
    }
}

/// Whoever ends first, by a failure too, ends the run.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn open(kind: &'static str, target: &str, answers: &'static [u16]) -> Asked {
    Asked { guarded: false, ..asked(kind, Call::get(target), answers) }
}

/// A credential that opens nothing, some with the other shop's name on them.
fn bad(user: User, good: &str, random: &mut Random) -> String {
    let theirs = Session::of(user.others());
    match random.below(9) {
        0 => String::new(),
        1 => format!("Bearer {OPERATOR_TOKEN}"),
        2 => theirs.signed_with("another-secret-of-somebody").bearer(),
        3 => theirs.header("alg", "none").bearer(),
        4 => theirs.claim("iss", format!("https://{}/admin", user.shop)).bearer(),
        5 => theirs.claim("aud", "another-app").bearer(),
        6 => theirs.expires_in(-11).bearer(),
        7 => format!("{good}, {good}"),
        // The claims of one, the signature of another.
        _ => format!("Bearer {}.{}", theirs.signing_input(), good.rsplit('.').next().unwrap_or_default()),
    }
}

/// The credential, and at times what would make a careless edge or origin believe that it is another's.
fn disguised(call: Call, user: User, bearer: &str, random: &mut Random) -> Call {
    let call = call.field("Authorization", bearer);
    if random.below(4) > 0 {
        return call;
    }
    let others = user.others();
    call.field("X-Shop-Domain", others)
        .field("X-Edge-Role", "owner")
        .field("Edge-Secret", "a-guess")
        .field("X-Forwarded-Host", others)
        .field("Cf-Access-Jwt-Assertion", Session::of(others).token())
        .field("Cookie", format!("shop={others}; session={}", Session::of(others).token()))
}

/// The origin: it believes the edge alone, and puts a shop's marker wherever an answer has room for one.
fn answer(request: &Recorded) -> Answer {
    let all = |name: &str| request.fields.all(name);
    if request.path() == "/api/public/status" {
        let told = !all("Edge-Secret").is_empty() || !all("X-Shop-Domain").is_empty();
        return if told { Answer::empty(500) } else { Answer::tile("for everybody") };
    }
    let marker = match all("X-Shop-Domain")[..] {
        [shop] => MARKERS.iter().find(|(name, _)| *name == shop).map(|(_, marker)| *marker),
        _ => None,
    };
    // What may be stored is asked for in no reader's name.
    let may_be_stored = request.method == "GET" && request.path().starts_with("/api/dashboard/");
    let from_edge = all("Edge-Secret") == [ORIGIN_SECRET] && !(may_be_stored && request.fields.has("Authorization"));
    let Some(marker) = marker.filter(|_| from_edge) else { return Answer::empty(403) };
    let role = if all("X-Edge-Role") == ["owner"] { OWNERS } else { "" };
    // Another one after each second, so that entity tags change too.
    Answer::tile(&format!("{marker} {role} {} {}", request.target, now().as_secs()))
        .field("ETag", &format!("\"{marker}\""))
        .field("Content-Language", &format!("en-x-{marker}"))
        .field("X-Marker", marker)
}

#[test]
fn no_answer_is_another_shops_and_no_token_outlives_its_end() {
    let is_long = std::env::var("HOTROD_LONG").is_ok_and(|value| value == "1");
    let requests = if is_long { 100_000 } else { 2_000 };
    let seed = std::env::var("HOTROD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| now().as_secs());
    say(&format!("HOTROD_SEED={seed}, {requests} requests"));
    let (run, started) = (Run::start(requests), Instant::now());
    std::thread::scope(|scope| {
        let run = &run;
        for (number, user) in (0..).zip(USERS.iter().cycle().take(USERS.len() * THREADS)) {
            scope.spawn(move || run.read(*user, Random(seed + number)));
        }
        for (number, shop) in (100..).zip([ANNS, BENS]) {
            scope.spawn(move || run.purge(shop, Random(seed + number)));
        }
    });
    let took = started.elapsed();
    wait_until("what is stored behind answers is", || run.lab.kv.keys().len() > 2);
    run.judge_stores();
    say(&run.report(took));
    assert_eq!(run.lab.origin().count(UNREACHED), 0);
    assert!(
        run.lab.origin().all_requests().iter().all(|request| !request.raw.windows(7).any(|part| part == b"a-guess"))
    );
    for (of, what) in [
        ("answers", "hits"),
        ("answers", "fills"),
        ("purges", "soft"),
        ("purges", "hard"),
        ("purges", "event"),
        ("condition", "304"),
        ("stored", "401"),
        ("stored", "403"),
        ("role", "200"),
        ("role", "403"),
        ("tokens", "used after their end"),
        ("tokens", "taken anew"),
    ] {
        assert!(run.counted(of, what) > 0, "{of}: none {what}");
    }
}
