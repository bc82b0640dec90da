//! The command itself.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::json;

use crate::{
    client,
    server::{self, DEFAULT_SHOP, NOW},
};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reference-origin"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(arguments).output().expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A command that answers, and its port.
struct Running {
    child: Child,
    port: u16,
    stdout: BufReader<ChildStdout>,
    /// Its database, if that is a copy of its own.
    copy: Option<PathBuf>,
}

impl Running {
    /// Runs on a copy of a seeded database.
    fn start() -> Self {
        let copy = server::seeded_copy();
        let mut running = Self::with(&["--db", copy.to_str().expect("a path of text")]);
        running.copy = Some(copy);
        running
    }

    fn with(arguments: &[&str]) -> Self {
        let mut command = command(&["--port", "0", "--now", NOW]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        stdout.read_line(&mut line).expect("its first line");
        let port = line.split("http://127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next());
        Self { child, port: port.expect("a port").parse().expect("a port"), stdout, copy: None }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// What it printed after its first line, when it has ended.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        let mut stderr = self.child.stderr.take().expect("its errors");
        stderr.read_to_string(&mut rest).expect("text");
        rest
    }

    fn resident_kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process's status");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a figure");
        line.split_whitespace().nth(1).expect("a figure").parse().expect("a figure")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as some tests want it to, and what is left of a copy does no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(copy) = self.copy.take() {
            let _ = std::fs::remove_file(copy);
        }
    }
}

#[test]
fn help_names_every_flag() {
    let (code, help, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    for flag in [
        "--port",
        "--seed",
        "--now",
        "--db",
        "--edge-url",
        "--webhook-secret",
        "--edge-secret",
        "--app-key",
        "--app-secret",
        "--help",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_in_one_sentence() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let (code, _, error) = output(&["--port", &port]);
    assert_eq!(code, Some(2));
    assert!(error.contains(&port) && error.contains("--port") && error.lines().count() == 1, "{error}");
}

#[test]
fn wrong_flags_are_refused_by_name() {
    for (arguments, word) in [
        (&["--port", "x"][..], "--port"),
        (&["--port"], "--port"),
        (&["--seed", "-1"], "--seed"),
        (&["--now", "yesterday"], "--now"),
        (&["--edge"], "--edge"),
        (&["--edge-url", "127.0.0.1:8787"], "--edge-url"),
        (&["--edge-url", "https://127.0.0.1:8787"], "TLS"),
        (&["--webhook-secret", "whsec_c2hvcnQ="], "--webhook-secret"),
        (&["--edge-secret", ""], "--edge-secret"),
        (&["--app-key=two words"], "--app-key"),
        (&["--app-secret"], "--app-secret"),
        (&["--app-sceret=hush"], "--app-sceret"),
        (&["--db", "/no/such/folder/file"], "/no/such/folder/file"),
    ] {
        let (code, _, error) = output(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(error.contains(word) && error.lines().count() == 1, "{arguments:?}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn what_requests_bring_is_not_logged() {
    let mut running = Running::with(&["--edge-secret", "hush-edge"]);
    let port = running.port;
    let fields = [
        ("x-shop-domain", DEFAULT_SHOP),
        ("edge-secret", "hush-edge"),
        ("authorization", "Bearer hush-token"),
        ("cookie", "session=hush-cookie"),
    ];
    let token = client::ask(port, "GET", &format!("/dev/session-token?shop={DEFAULT_SHOP}&user=hush-user"), &[], "");
    assert_eq!(token.status, 200);
    for (method, path, body, status) in [
        ("GET", "/api/exports/customers.csv", "", 200),
        ("GET", "/api/realtime/escalations?token=hush-query", "", 200),
        ("GET", "/api/exports/secrets.csv", "", 404),
        ("POST", "/api/orders", r#"{"email":"hush@customer.test"}"#, 422),
        ("POST", "/dev/echo", "hush-body", 200),
    ] {
        assert_eq!(client::ask(port, method, path, &fields, body).status, status, "{path}");
    }
    assert_eq!(client::ask(port, "POST", "/api/orders", &fields[2..], "hush-refused").status, 403);
    running.signal("-TERM");
    assert_eq!(running.rest(), "");
}

#[test]
fn it_stops_at_a_signal_even_with_a_stream_open() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start();
        let shop = [("x-shop-domain", DEFAULT_SHOP)];
        let mut stream = client::send(running.port, "GET", "/api/realtime/stream", &shop, "");
        stream.read_exact(&mut [0; 100]).expect("an event");
        running.signal(signal);
        assert_eq!(running.child.wait().expect("it ends").code(), Some(0), "{signal}");
    }
}

#[test]
fn a_file_keeps_what_happened_and_its_seed() {
    let folder = std::env::temp_dir().join(format!("reference-origin-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("shop.db");
    let file = file.to_str().expect("a path of text");
    let orders = |running: &Running| {
        let shop = [("x-shop-domain", DEFAULT_SHOP)];
        let tile = client::ask(running.port, "GET", "/api/dashboard/tiles/sales-pulse", &shop, "");
        tile.json()["data"]["order_count"].as_u64().expect("a count")
    };
    let before = {
        let running = Running::with(&["--db", file]);
        let created = client::ask(running.port, "POST", "/dev/orders", &[], &json!({ "total": 5 }).to_string());
        assert_eq!(created.status, 201);
        orders(&running)
    };
    assert_eq!(orders(&Running::with(&["--db", file])), before);
    let (code, _, error) = output(&["--port", "0", "--db", file, "--seed", "5"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--seed 1932"), "{error}");
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn a_long_export_takes_no_more_memory_than_a_short_one() {
    let running = Running::start();
    let shop = [("x-shop-domain", DEFAULT_SHOP)];
    let read = |megabytes: u64| {
        let path = format!("/api/exports/orders.csv?megabytes={megabytes}");
        let mut stream = client::send(running.port, "GET", &path, &shop, "");
        let read = std::io::copy(&mut stream, &mut std::io::sink()).expect("the export ends");
        assert!(read > megabytes * 1_000_000);
    };
    read(2);
    let before = running.resident_kilobytes();
    // One that nobody reads must not pile up either.
    let unread = client::send(running.port, "GET", "/api/exports/orders.csv?megabytes=500", &shop, "");
    read(100);
    let grown = running.resident_kilobytes() - before;
    assert!(grown < 8_000, "it grew by {grown} KB");
    drop(unread);
}
