//! Child processes that never outlive the task that started them.
//!
//! Each child leads a process group of its own, so that what it starts (workerd under wrangler, rustc under cargo) stops with it.
//! Ctrl-C, SIGTERM and SIGHUP only set a flag; whoever waits for a child looks at the flag and stops the group. Should xtask itself be
//! killed outright, a guard notices: a shell that waits for the end of a pipe which only xtask holds open, and then stops the group.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::failure::{Failure, Outcome};

/// How long a group may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often a waiting task looks.
pub const TICK: Duration = Duration::from_millis(25);

/// Stops the group whose number is its first argument, once its standard input ends.
const GUARD: &str = "read -r _; kill -TERM \"-$1\" || exit 0; \
    for _ in 1 2 3 4 5 6 7 8; do sleep 1; kill -0 \"-$1\" || exit 0; done; \
    kill -KILL \"-$1\"";

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static HANDLER: OnceLock<bool> = OnceLock::new();

/// From here on Ctrl-C, SIGTERM and SIGHUP are noted and no longer end the process.
pub fn note_interrupts() {
    HANDLER.get_or_init(|| ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).is_ok());
}

/// True after Ctrl-C, SIGTERM or SIGHUP.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// The failure of a task that was asked to stop.
pub fn interruption() -> Failure {
    Failure::new("interrupted; whatever was half done is repaired by the next run")
}

/// A child and everything it started.
#[derive(Debug)]
pub struct Group {
    name: String,
    child: Child,
    guard: Option<Child>,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Starts a command as the leader of a new group, with no standard input.
    pub fn spawn(name: &str, command: &mut Command) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(name, command, &error))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .ok();
        Ok(Self { name: name.to_owned(), child, guard, ended: None })
    }

    /// What the child writes, if it was started with a pipe for that.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The child's exit status, once it has ended.
    pub fn poll(&mut self) -> Outcome<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .map_err(|error| Failure::new(format!("could not wait for {}: {error}", self.name)))?;
        }
        Ok(self.ended)
    }

    /// Waits for the end of the child; an interrupt stops the group and is a failure.
    pub fn wait(&mut self) -> Outcome<ExitStatus> {
        loop {
            if let Some(status) = self.poll()? {
                return Ok(status);
            }
            if interrupted() {
                self.stop();
                return Err(interruption());
            }
            thread::sleep(TICK);
        }
    }

    /// Asks the whole group to end, and does not wait.
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Asks the whole group to end, waits, and kills what is left of it.
    pub fn stop(&mut self) {
        self.ask_to_end();
        let asked = Instant::now();
        while self.alive() && asked.elapsed() < PATIENCE {
            // Collects the leader, which would otherwise count as alive.
            let _ = self.poll();
            thread::sleep(TICK);
        }
        self.signal(Signal::SIGKILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
        self.dismiss_guard();
    }

    fn pgid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pgid) = self.pgid() {
            // The one error that can come, "no such group", means that there is nothing left to stop.
            let _ = killpg(pgid, signal);
        }
    }

    fn alive(&self) -> bool {
        self.pgid().is_some_and(|pgid| killpg(pgid, None).is_ok())
    }

    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.guard.is_some() {
            // A group may outlive its leader. A leader that ended unseen would count as alive, so it is looked at first.
            let _ = self.poll();
            if self.alive() {
                self.stop();
            }
            self.dismiss_guard();
        }
    }
}

fn cannot_start(name: &str, command: &Command, error: &io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        Failure::new(format!(
            "{name} needs the program `{program}`, which was not found: install it and run this again"
        ))
    } else {
        Failure::new(format!("{name}: could not start `{program}`: {error}; check that the program may be run"))
    }
}

/// How a child ended, in words: `exit code 101`, `signal 9`.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// A child that runs a script, once it has printed a line.
    fn parent(script: &str) -> Group {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        let mut group = Group::spawn("a test", &mut command).unwrap();
        // Its first line says that the grandchild is there.
        BufReader::new(group.child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        group
    }

    #[track_caller]
    fn check_gone(group: Pid) {
        let asked = Instant::now();
        while killpg(group, None).is_ok() {
            assert!(asked.elapsed() < PATIENCE, "{group} is still there");
            thread::sleep(TICK);
        }
    }

    #[test]
    fn a_group_stops_with_all_that_it_started() {
        let mut group = parent("sleep 60 & echo; wait");
        let pgid = group.pgid().unwrap();
        group.stop();
        check_gone(pgid);
    }

    #[test]
    fn what_a_leader_leaves_behind_stops_when_the_group_is_dropped() {
        let mut group = parent("sleep 60 >/dev/null & echo");
        let pgid = group.pgid().unwrap();
        assert!(group.wait().unwrap().success());
        assert!(group.alive());
        drop(group);
        check_gone(pgid);
    }

    #[test]
    fn the_guard_stops_a_group_whose_owner_was_killed() {
        let mut group = parent("sleep 60 & echo; wait");
        let pgid = group.pgid().unwrap();
        // The end of its pipe is what the guard sees when xtask is gone.
        drop(group.guard.as_mut().unwrap().stdin.take());
        assert!(!group.wait().unwrap().success());
        check_gone(pgid);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let text = Group::spawn("a test", &mut Command::new("no-such-program")).unwrap_err().0;
        assert!(text.contains("`no-such-program`"), "{text}");
    }
}
