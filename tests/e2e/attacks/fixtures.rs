//! What the reference origin answers on the routes that are stored, and what must not be in it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use lab::client::Call;
use lab::config::root;
use lab::harness::TENANT;
use lab::stored::all_kept;

use super::Case;
use super::authorization::OWNERS;
use super::stage::Stage;

const CASES: &[Case] = &[("A79", tokens_in_what_is_stored)];

#[test]
fn fixtures() {
    super::run("fixtures", CASES);
}

/// The reference origin as a command, until this is dropped.
struct ReferenceOrigin(Child);

impl ReferenceOrigin {
    fn start() -> (Self, SocketAddr) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "-p", "reference-origin", "--", "--port", "0"]).current_dir(root());
        let mut command = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("cargo starts");
        let lines = BufReader::new(command.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let said = lines.take(1).next().unwrap_or_default();
        let port = said
            .split("127.0.0.1:")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {said:?}"));
        (Self(command), SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

impl Drop for ReferenceOrigin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What must not be in an answer that many are given.
const DENIED: [&str; 12] = [
    "eyj",
    "csrf",
    "xsrf",
    "session",
    "authenticity_token",
    "access_token",
    "id_token",
    "refresh_token",
    "nonce",
    "password",
    "secret",
    "bearer ",
];

/// The first e-mail address.
fn email(text: &str) -> Option<&str> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
    text.match_indices('@').find_map(|(at, _)| {
        let start = text[..at].rfind(|c| !of_name(c)).map_or(0, |before| before + 1);
        let end = text[at + 1..].find(|c| !of_name(c)).map_or(text.len(), |length| at + 1 + length);
        (start < at && text[at..end].contains('.')).then(|| &text[start..end])
    })
}

fn tokens_in_what_is_stored(_: &Stage) {
    assert_eq!(email("to ann@customer.example, now"), Some("ann@customer.example"));
    assert_eq!(email("@ 3 @x a@b"), None);
    let (_running, address) = ReferenceOrigin::start();
    let owners = (OWNERS.to_owned(), false);
    for (target, personal) in all_kept().into_iter().map(|kept| (kept.target, kept.personal)).chain([owners]) {
        let call = Call::get(&target).field("X-Shop-Domain", TENANT).field("X-Edge-Role", "owner");
        let answer = call.send(address).expect("the reference origin answers");
        let text = answer.text().to_lowercase();
        assert!(answer.status == 200 && text.len() > 50, "{target}: {}", answer.status);
        for denied in DENIED {
            assert!(!text.contains(denied), "{target}: {denied}: {text}");
        }
        assert_eq!(answer.fields.all("Set-Cookie"), Vec::<&str>::new(), "{target}");
        assert!(personal || email(&text).is_none(), "{target}: {:?}", email(&text));
    }
}
