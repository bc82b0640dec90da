//! The process workerd: found, started on free ports, listened to, measured, restarted, ended.
//!
//! Its ports come through `--control-fd`, on a pipe that is the child's standard input. A guard, a
//! shell that waits for its own input to close, ends workerd and removes the temporary folder even when
//! the tests are killed and nothing is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, pipe};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::{Deployment, root};
use crate::gate::lock;
use crate::secrets::Secrets;

/// The longest start that is waited for.
const START: Duration = Duration::from_secs(20);
/// Names another workerd than the one in `node_modules`.
const OVERRIDE: &str = "HOTROD_WORKERD";

/// A running workerd. It ends when this is dropped, and what it wrote must tell no secret.
pub struct Workerd {
    binary: PathBuf,
    folder: PathBuf,
    config: PathBuf,
    sockets: usize,
    secrets: Secrets,
    log: Arc<Mutex<String>>,
    process: Process,
}

struct Process {
    child: Child,
    guard: Child,
    ports: BTreeMap<String, u16>,
    captures: Vec<JoinHandle<()>>,
}

impl Workerd {
    /// Starts these Workers in a new temporary folder.
    pub fn start(deployment: &Deployment) -> Self {
        let binary = binary();
        let folder = new_folder();
        let config = deployment.write(&folder);
        let sockets = deployment.workers.iter().filter(|worker| worker.port.is_some()).count();
        let secrets = Secrets::of(deployment.workers.iter().map(|worker| &worker.vars));
        let log = Arc::default();
        let process = Process::start(&binary, &folder, &config, sockets, &log);
        Self { binary, folder, config, sockets, secrets, log, process }
    }

    /// Kills the process and starts it again on the same storage: every isolate is new, and every port that was not chosen.
    pub fn restart(&mut self) {
        self.process.end();
        self.process = Process::start(&self.binary, &self.folder, &self.config, self.sockets, &self.log);
    }

    /// The same, and what Durable Objects had on disk is gone.
    pub fn restart_without_objects(&mut self) {
        self.process.end();
        let objects = self.folder.join("objects");
        fs::remove_dir_all(&objects).and_then(|()| fs::create_dir(&objects)).expect("the objects' folder is emptied");
        self.process = Process::start(&self.binary, &self.folder, &self.config, self.sockets, &self.log);
    }

    /// Where the first Worker by name answers: the one of an edge.
    pub fn address(&self) -> SocketAddr {
        let port = self.process.ports.values().next().expect("a Worker with a socket");
        SocketAddr::from((Ipv4Addr::LOCALHOST, *port))
    }

    /// Where the Worker of this name answers.
    pub fn address_of(&self, name: &str) -> SocketAddr {
        let port = self.process.ports.get(name).unwrap_or_else(|| panic!("there is no Worker {name}"));
        SocketAddr::from((Ipv4Addr::LOCALHOST, *port))
    }

    /// What neither its log nor an answer of its own may tell.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// What it wrote so far (console and its own messages), over restarts.
    pub fn log(&self) -> String {
        lock(&self.log).clone()
    }

    /// Waits until the log contains this; false after `patience`.
    pub fn wait_for_log(&self, text: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if lock(&self.log).contains(text) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// For how long its threads have computed so far. The kernel tells it to the nanosecond (proc(5), `schedstat`); what
    /// `stat` has of it is counted in hundredths of a second.
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("workerd is running").flatten();
        let nanoseconds = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory since the start, or since it was forgotten, in bytes.
    fn peak_resident_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// By how many bytes its resident memory grew at its peak while this ran.
    pub fn growth(&self, what: impl FnOnce()) -> u64 {
        self.forget_peak();
        let before = self.resident_bytes();
        what();
        self.peak_resident_bytes().saturating_sub(before)
    }

    /// The peak counts from now on (proc(5), `clear_refs`).
    fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("workerd's clear_refs can be written");
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("workerd is running");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("the kernel tells resident memory in kB") * 1024
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        self.process.end();
        if std::thread::panicking() {
            eprintln!("--- workerd said:\n{}---", lock(&self.log));
        }
        // A folder that stays behind is in target/ and harms nobody.
        let _removed = fs::remove_dir_all(&self.folder);
        if !std::thread::panicking() {
            self.secrets.check_log(&lock(&self.log));
        }
    }
}

impl Process {
    fn start(binary: &Path, folder: &Path, config: &Path, sockets: usize, log: &Arc<Mutex<String>>) -> Self {
        let (control, control_end) = pipe().expect("a pipe");
        let mut child = Command::new(binary)
            .args(["serve", "--experimental", "--control-fd=0"])
            .arg(config)
            .arg("config")
            .stdin(control_end)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        // The shell's `read` ends when this process does, however it does.
        let guard = Command::new("sh")
            .args(["-c", "read _; kill -9 \"$1\"; rm -rf \"$2\"", "guard", &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let captures = vec![capture(child.stdout.take(), log), capture(child.stderr.take(), log)];
        let ports = listening(control, sockets);
        let mut process = Self { child, guard, ports: BTreeMap::new(), captures };
        match ports {
            Ok(ports) => process.ports = ports,
            Err(why) => {
                process.end();
                panic!("workerd does not serve ({why}). It said:\n{}", lock(log));
            }
        }
        process
    }

    fn end(&mut self) {
        // The guard first, so that it never sees a process id that is free again. Each may be gone already.
        for child in [&mut self.guard, &mut self.child] {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        for capture in self.captures.drain(..) {
            capture.join().expect("a thread that copies lines does not panic");
        }
    }
}

/// Copies what a child writes into the log.
fn capture(stream: Option<impl Read + Send + 'static>, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let (stream, log) = (stream.expect("a pipe"), Arc::clone(log));
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut log = lock(&log);
            log.push_str(&String::from_utf8_lossy(&line));
            log.push('\n');
        }
    })
}

/// The ports of so many sockets, from workerd's `{"event":"listen","socket":"edge","port":...}`.
fn listening(control: impl Read + Send + 'static, sockets: usize) -> Result<BTreeMap<String, u16>, &'static str> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(control).lines().map_while(Result::ok) {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let port = event["port"].as_u64().and_then(|port| u16::try_from(port).ok());
            if let (Some(socket), Some(port)) = (event["socket"].as_str(), port) {
                // Nobody listens any more if the start was given up.
                let _sent = sender.send((socket.to_owned(), port));
            }
        }
    });
    let until = Instant::now() + START;
    let mut ports = BTreeMap::new();
    while ports.len() < sockets {
        let left = until.saturating_duration_since(Instant::now());
        let (socket, port) = receiver.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => "it took too long",
            RecvTimeoutError::Disconnected => "it ended",
        })?;
        ports.insert(socket, port);
    }
    Ok(ports)
}

/// The binary that setup installed, or the one that the environment names.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os(OVERRIDE) {
        return path.into();
    }
    let packages = fs::read_dir(root().join("node_modules/@cloudflare")).into_iter().flatten().flatten();
    let of_workerd = |name: &str| name.starts_with("workerd-");
    let mut binaries = packages
        .filter(|entry| entry.file_name().to_str().is_some_and(of_workerd))
        .map(|entry| entry.path().join("bin/workerd"));
    binaries.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no workerd in node_modules/@cloudflare: run `cargo xtask setup`, or name a binary in {OVERRIDE}"
        )
    })
}

fn new_folder() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = root().join(target).join("tmp").join(format!("e2e-{}-{number}", std::process::id()));
    // One may be left over from a killed run with the same process id.
    let _removed = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder under target/");
    folder
}
