//! Running other programs: with their output shown as it comes, kept in a log behind a progress line, or captured.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Failure, Outcome};
use crate::group::{Group, TICK, ending, interrupted, interruption};

/// Between two progress lines, where the output is not a terminal.
const BEAT: Duration = Duration::from_secs(10);

/// How much of a log is looked at for its last line, or shown after a failure.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 25;

/// A command in `dir` without what `cargo run` told xtask about itself, which would make a nested cargo build things anew.
pub fn command(program: impl Into<OsString>, dir: &Path) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(dir);
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_BIN_")
            || matches!(&*name, "CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_CRATE_NAME")
        {
            command.env_remove(&key);
        }
    }
    command
}

/// PATH with these folders in front.
pub fn path_with(first: &[&Path]) -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let first = first.iter().map(|dir| dir.to_path_buf());
    let all = first.chain(std::env::split_paths(&rest));
    std::env::join_paths(all).unwrap_or(rest)
}

/// Runs a command whose output is shown as it comes.
pub fn shown(what: &str, command: &mut Command) -> Outcome {
    let status = Group::spawn(what, command)?.wait()?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{what} failed with {}", ending(status)))) }
}

/// Runs a command whose output is shown as it comes, and kept in a file.
pub fn recorded(what: &str, command: &mut Command, file: &Path) -> Outcome {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).doing("create", dir)?;
    }
    let mut kept = File::create(file).doing("write", file)?;
    let mut group = Group::spawn(what, command.stdout(Stdio::piped()))?;
    let output = group.take_output();
    let copying = thread::spawn(move || -> io::Result<()> {
        let mut output = BufReader::new(output.ok_or(io::ErrorKind::BrokenPipe)?);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            // A closed pipe is no reason to fail a test.
            let _ = io::stdout().write_all(&line);
            kept.write_all(&line)?;
            line.clear();
        }
        Ok(())
    });
    let status = group.wait()?;
    let copied = copying.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    if !status.success() {
        return Err(Failure::new(format!("{what} failed with {}", ending(status))));
    }
    copied.doing("write", file)
}

/// What a command printed, or nothing where it could not be started or failed.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A long step: its output goes to a log, and progress lines say what it is doing and for how long.
#[derive(Debug)]
pub struct Long<'a> {
    /// What is being done, as in `building wasm-bindgen-cli 0.2.130`.
    pub what: &'a str,
    /// What a reader has to know to wait in peace, as in `once per machine, about 2 minutes`.
    pub note: &'a str,
    /// Where the output goes.
    pub log: PathBuf,
    /// When to give up.
    pub limit: Duration,
}

impl Long<'_> {
    /// Runs the command to its end.
    pub fn run(&self, command: &mut Command) -> Outcome {
        if let Some(dir) = self.log.parent() {
            fs::create_dir_all(dir).doing("create", dir)?;
        }
        let log = File::create(&self.log).doing("write", &self.log)?;
        let for_stderr = log.try_clone().doing("write", &self.log)?;
        command.stdout(log).stderr(for_stderr);

        say(&format!("{} ({})", self.what, self.note));
        let started = Instant::now();
        let mut progress = Progress::new();
        let mut group = Group::spawn(self.what, command)?;
        let status = loop {
            if let Some(status) = group.poll()? {
                break status;
            }
            if interrupted() {
                progress.clear();
                group.stop();
                return Err(interruption());
            }
            if started.elapsed() > self.limit {
                progress.clear();
                group.stop();
                return Err(Failure::new(format!(
                    "{} took more than {} s and was stopped; its log is {}",
                    self.what,
                    self.limit.as_secs(),
                    self.log.display()
                )));
            }
            progress.beat(self.what, started.elapsed(), &self.log);
            thread::sleep(TICK);
        };
        progress.clear();
        if status.success() {
            say(&format!("{}: done in {:.1} s", self.what, started.elapsed().as_secs_f64()));
            return Ok(());
        }
        eprintln!("{}", tail(&self.log, TAIL_LINES));
        Err(Failure::new(format!(
            "{} failed with {}; the whole log is {}",
            self.what,
            ending(status),
            self.log.display()
        )))
    }
}

/// Prints a line of a task's own.
pub fn say(line: &str) {
    println!("xtask: {line}");
    // A closed pipe is no reason to fail a build.
    let _ = io::stdout().flush();
}

/// One line that is rewritten on a terminal, or a new line every ten seconds elsewhere.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    last: Instant,
    drawn: bool,
}

impl Progress {
    /// A progress line that starts now.
    pub fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), last: Instant::now(), drawn: false }
    }

    /// Says, when it is time to, what is waited for and since when.
    pub fn beat(&mut self, what: &str, elapsed: Duration, log: &Path) {
        let pause = if self.terminal { Duration::from_millis(500) } else { BEAT };
        if self.last.elapsed() < pause {
            return;
        }
        self.last = Instant::now();
        let now: String = tail(log, 1).chars().take(70).collect();
        let line = format!("  {what}: {} s  {}", elapsed.as_secs(), now.trim());
        if self.terminal {
            print!("\r\x1b[2K{line}");
            self.drawn = true;
        } else {
            println!("{line}");
        }
        let _ = io::stdout().flush();
    }

    /// Takes the line off a terminal.
    pub fn clear(&mut self) {
        if self.drawn {
            print!("\r\x1b[2K");
            let _ = io::stdout().flush();
            self.drawn = false;
        }
    }
}

/// The last lines of a log that hold something.
pub fn tail(log: &Path, lines: usize) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |data| data.len());
        let start = length.saturating_sub(TAIL_BYTES);
        if file.seek(SeekFrom::Start(start)).is_ok() {
            // An unreadable log only makes the progress line poorer.
            let _ = file.read_to_end(&mut text);
        }
    }
    last_lines(&String::from_utf8_lossy(&text), lines)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_skip_blank_ones_and_redrawn_ones_count_each() {
        assert_eq!(last_lines("a\nb\n\n  \n", 1), "b");
        assert_eq!(last_lines("10 %\r20 %\r", 1), "20 %");
        assert_eq!(last_lines("a\nb", 5), "a\nb");
        assert_eq!(last_lines("", 3), "");
    }
}
