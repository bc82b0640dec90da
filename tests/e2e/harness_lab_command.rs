//! The lab as a command, as `cargo xtask lab` starts it: before an origin of somebody else's, until Ctrl-C.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use lab::client::Call;
use lab::config::root;
use lab::origin::{Answer, Origin};
use lab::stored::SEGMENTS;

/// The command, in a group of its own, as a terminal would give it.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "-p", "lab", "--"]).args(arguments).current_dir(root());
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        Self(cargo.spawn().expect("cargo starts"))
    }

    /// The addresses that it prints in its list of locations.
    fn locations(&mut self) -> Vec<(String, SocketAddr)> {
        let lines = BufReader::new(self.0.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let mut lines = lines.skip_while(|line| !line.starts_with("The locations")).skip(2);
        let location = |line: String| {
            let (name, url) = line.trim().split_once(' ')?;
            Some((name.to_owned(), url.trim().strip_prefix("http://")?.parse().ok()?))
        };
        let locations = lines.by_ref().map_while(location).collect();
        // What it prints later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        locations
    }

    fn interrupt(&mut self) {
        let group = format!("-{}", self.0.id());
        Command::new("kill").args(["-INT", "--", &group]).status().expect("kill runs");
        self.0.wait().expect("the command ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|status| status.is_none()) {
            self.interrupt();
        }
    }
}

#[test]
fn three_locations_stand_before_the_origin_that_it_is_given_until_ctrl_c() {
    let origin = Origin::start();
    origin.answer(SEGMENTS, Answer::tile("first"));
    let mut lab = Running::start(&["--origin", &format!("http://{}", origin.address()), "--port", "0"]);
    let locations = lab.locations();
    let names: Vec<_> = locations.iter().map(|(name, _)| name.split('-').next().unwrap_or_default()).collect();
    assert_eq!(names, ["ams", "iad", "sin"]);
    for (name, address) in &locations {
        let answer = Call::get(SEGMENTS).send(*address).expect("an answer");
        assert_eq!(answer.json()["fact"]["says"], "first", "{name}: {}", answer.text());
    }
    assert_eq!(origin.count(SEGMENTS), 3);
    lab.interrupt();
    for (name, address) in locations {
        assert!(TcpListener::bind(address).is_ok(), "{name}: {address} is free again");
    }
}
