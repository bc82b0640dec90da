//! The command line: `cargo xtask <task> [flags]`.

use std::path::PathBuf;

use crate::bench::Bench;

/// Shown for `help` and after a mistake.
pub const USAGE: &str = "\
usage: cargo xtask <task>

  setup                 install what is missing: wasm32 target, worker-build, wasm-bindgen, npm packages
  build [--deployed]    build the Worker into build/, and the one that follows its origin into tests/follow/build/;
                        with --deployed, the first alone
  check                 the fast part of the tests: formatting, lints, docs, native tests
  test [--long]         everything: setup, check, build, wasm size, end-to-end tests on workerd;
                        with --long, more cases of each, and the mutants
  mutants [--policy]    make the mistakes of tests/mutants.toml, each of which the explorer must find;
                        with --policy, those of cargo-mutants in the modules that decide, for their unit tests:
                        all but the ones that tests/mutants-policy.toml explains must be noticed; an hour or less
  fuzz [<target> ...] [--minutes <n>]
                        run libFuzzer on each target of fuzz/, or on those named, for 10 minutes each
  dev [--port <n>] [--origin-port <n>] [--access open|session]
                        run the reference origin (8788) and the Worker (8787) until Ctrl-C;
                        with session, every shop has its readers, who show a session token
  lab [--port <n>] [--kv-lag <ms>]
                        run the Worker as three locations (8790 to 8792) before a reference origin (8793) until Ctrl-C
  bench storm           1,000 orders a minute on the lab while people look at the dashboard; about four minutes
  bench verify          what it costs to verify who reads, in CPU time of workerd; about a minute
  conformance --suite <clone> [--accept]
                        run a clone of http-tests/cache-tests on the Worker of tests/follow; fails if a test that
                        passed does not; with --accept, its verdicts become the list, and CONFORMANCE.md is written
  help                  this text";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Print the usage.
    Help,
    /// Install what is missing.
    Setup,
    /// Build the Workers.
    Build {
        /// The one that is deployed, and not the one that tests run beside it.
        deployed: bool,
    },
    /// The fast part of the tests.
    Check,
    /// All tests.
    Test {
        /// The slow cases as well.
        long: bool,
    },
    /// Mistakes that must be found.
    Mutants {
        /// Those of cargo-mutants in the modules that decide, by their unit tests; else the listed ones, by the explorer.
        policy: bool,
    },
    /// Run the fuzzer.
    Fuzz(Fuzz),
    /// Run the origin and the Worker.
    Dev(Dev),
    /// Run the origin and the lab.
    Lab(Lab),
    /// Run a benchmark.
    Bench(Bench),
    /// Run the public suite for caches.
    Conformance(Conformance),
}

/// How many locations `lab` has.
pub const LOCATIONS: u16 = 3;

/// What `lab` runs, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lab {
    /// The first location's port; the other locations and then the origin follow it.
    pub first: u16,
    /// Milliseconds from one location to another in KV.
    pub kv_lag: u32,
}

impl Default for Lab {
    fn default() -> Self {
        Self { first: 8790, kv_lag: 2000 }
    }
}

impl Lab {
    /// The reference origin's port.
    pub fn origin(self) -> u16 {
        self.first + LOCATIONS
    }
}

/// What `fuzz` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuzz {
    /// The targets, or none: all.
    pub targets: Vec<String>,
    /// For how many minutes each.
    pub minutes: u32,
}

impl Default for Fuzz {
    fn default() -> Self {
        Self { targets: Vec::new(), minutes: 10 }
    }
}

/// What `conformance` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conformance {
    /// Where the suite is.
    pub suite: PathBuf,
    /// Whether what it says becomes the list.
    pub accept: bool,
}

/// What `dev` runs, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dev {
    /// The Worker's port.
    pub edge: u16,
    /// The reference origin's port.
    pub origin: u16,
    /// Who may read.
    pub access: Access,
}

impl Default for Dev {
    fn default() -> Self {
        Self { edge: 8787, origin: 8788, access: Access::Open }
    }
}

/// The Worker's access mode in development.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches it, from one shop.
    Open,
    /// Who shows a session token, from the shop that it is of.
    Session,
}

/// Reads the arguments after the program's name; a mistake is a sentence that names it.
pub fn parse(args: &[String]) -> Result<Task, String> {
    let Some((task, flags)) = args.split_first() else {
        return Err("no task was named".to_owned());
    };
    if flags.iter().any(|flag| flag == "--help" || flag == "-h") {
        return Ok(Task::Help);
    }
    let plain = |task: Task| match flags.first() {
        None => Ok(task),
        Some(flag) => Err(unknown(flag)),
    };
    match task.as_str() {
        "help" | "--help" | "-h" => Ok(Task::Help),
        "setup" => plain(Task::Setup),
        "build" => parse_switch("--deployed", flags).map(|deployed| Task::Build { deployed }),
        "check" => plain(Task::Check),
        "mutants" => parse_switch("--policy", flags).map(|policy| Task::Mutants { policy }),
        "test" => parse_switch("--long", flags).map(|long| Task::Test { long }),
        "fuzz" => parse_fuzz(flags),
        "dev" => parse_dev(flags),
        "lab" => parse_lab(flags),
        "bench" => parse_bench(flags),
        "conformance" => parse_conformance(flags),
        other => Err(format!("there is no task `{other}`")),
    }
}

/// The one flag that there is, or none.
fn parse_switch(switch: &str, flags: &[String]) -> Result<bool, String> {
    match flags.iter().find(|flag| *flag != switch) {
        Some(other) => Err(unknown(other)),
        None => Ok(!flags.is_empty()),
    }
}

fn parse_fuzz(words: &[String]) -> Result<Task, String> {
    let mut fuzz = Fuzz::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match name_and_value(word) {
            ("--minutes", inline) => {
                let value = inline.or_else(|| words.next().map(String::as_str));
                let value = value.ok_or("--minutes needs a number after it")?;
                fuzz.minutes = match value.parse() {
                    Ok(minutes) if (1..=1440).contains(&minutes) => minutes,
                    _ => return Err(format!("--minutes takes a number from 1 to 1440, not `{value}`")),
                };
            }
            (flag, _) if flag.starts_with('-') => return Err(unknown(flag)),
            _ => fuzz.targets.push(word.clone()),
        }
    }
    Ok(Task::Fuzz(fuzz))
}

fn parse_dev(flags: &[String]) -> Result<Task, String> {
    let mut dev = Dev::default();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let (name, inline) = name_and_value(flag);
        let mut value = || inline.or_else(|| flags.next().map(String::as_str));
        match name {
            "--port" => dev.edge = parse_port(name, value())?,
            "--origin-port" => dev.origin = parse_port(name, value())?,
            "--access" => dev.access = parse_access(name, value())?,
            other => return Err(unknown(other)),
        }
    }
    if dev.edge == dev.origin {
        return Err(format!(
            "--port and --origin-port are both {}: the Worker and the origin need a port each",
            dev.edge
        ));
    }
    Ok(Task::Dev(dev))
}

fn parse_access(flag: &str, value: Option<&str>) -> Result<Access, String> {
    match value {
        Some("open") => Ok(Access::Open),
        Some("session") => Ok(Access::Session),
        Some(other) => Err(format!("{flag} takes `open` or `session`, not `{other}`")),
        None => Err(format!("{flag} needs `open` or `session` after it")),
    }
}

fn parse_lab(flags: &[String]) -> Result<Task, String> {
    let mut lab = Lab::default();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let (name, inline) = name_and_value(flag);
        let mut value = || inline.or_else(|| flags.next().map(String::as_str));
        match name {
            "--port" => lab.first = parse_port(name, value())?,
            "--kv-lag" => {
                let value = value().ok_or_else(|| format!("{name} needs milliseconds after it"))?;
                lab.kv_lag = value.parse().map_err(|_| format!("{name} takes milliseconds, not `{value}`"))?;
            }
            other => return Err(unknown(other)),
        }
    }
    if lab.first.checked_add(LOCATIONS).is_none() {
        return Err(format!("--port {} leaves no ports for the other locations and the origin", lab.first));
    }
    Ok(Task::Lab(lab))
}

fn parse_bench(words: &[String]) -> Result<Task, String> {
    match words {
        [] => Err("bench needs the name of a benchmark after it: storm or verify".to_owned()),
        [name, flags @ ..] => match (Bench::named(name), flags) {
            (Some(bench), []) => Ok(Task::Bench(bench)),
            (Some(_), [flag, ..]) => Err(unknown(flag)),
            (None, _) => Err(format!("there is no benchmark `{name}`")),
        },
    }
}

fn parse_conformance(flags: &[String]) -> Result<Task, String> {
    let (mut suite, mut accept) = (None, false);
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match name_and_value(flag) {
            ("--suite", inline) => {
                let value = inline.or_else(|| flags.next().map(String::as_str));
                suite = Some(PathBuf::from(value.ok_or("--suite needs a folder after it")?));
            }
            ("--accept", None) => accept = true,
            (other, _) => return Err(unknown(other)),
        }
    }
    let suite = suite.ok_or("conformance needs --suite <clone>: a clone of http-tests/cache-tests")?;
    Ok(Task::Conformance(Conformance { suite, accept }))
}

/// A flag, and the value that may be attached to it by `=`.
fn name_and_value(flag: &str) -> (&str, Option<&str>) {
    flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)))
}

fn parse_port(flag: &str, value: Option<&str>) -> Result<u16, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a port number after it"))?;
    match value.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{flag} takes a port number from 1 to 65535, not `{value}`")),
    }
}

fn unknown(flag: &str) -> String {
    format!("there is no flag `{flag}` here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Task, &str>) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(parse(&args), expected.map_err(str::to_owned), "{line}");
    }

    fn dev(edge: u16, origin: u16) -> Task {
        Task::Dev(Dev { edge, origin, access: Access::Open })
    }

    #[test]
    fn each_task_is_one_word() {
        check("setup", Ok(Task::Setup));
        check("build", Ok(Task::Build { deployed: false }));
        check("build --deployed", Ok(Task::Build { deployed: true }));
        check("check", Ok(Task::Check));
        check("mutants", Ok(Task::Mutants { policy: false }));
        check("mutants --policy", Ok(Task::Mutants { policy: true }));
        check("test", Ok(Task::Test { long: false }));
        check("test --long", Ok(Task::Test { long: true }));
        check("--help", Ok(Task::Help));
        check("dev", Ok(dev(8787, 8788)));
    }

    #[test]
    fn ports_may_follow_a_space_or_an_equals_sign() {
        check("dev --port 9000", Ok(dev(9000, 8788)));
        check("dev --origin-port=9001 --port=9000", Ok(dev(9000, 9001)));
    }

    #[test]
    fn who_may_read_is_everyone_unless_said_otherwise() {
        let session = Dev { access: Access::Session, ..Dev::default() };
        check("dev --access session", Ok(Task::Dev(session)));
        check("dev --port=9000 --access=session", Ok(Task::Dev(Dev { edge: 9000, ..session })));
        check("dev --access open", Ok(dev(8787, 8788)));
        check("dev --access", Err("--access needs `open` or `session` after it"));
        check("dev --access Session", Err("--access takes `open` or `session`, not `Session`"));
        check("lab --access session", Err("there is no flag `--access` here"));
    }

    #[test]
    fn the_lab_takes_its_first_port_and_its_lag() {
        check("lab", Ok(Task::Lab(Lab { first: 8790, kv_lag: 2000 })));
        check("lab --kv-lag=500 --port 9000", Ok(Task::Lab(Lab { first: 9000, kv_lag: 500 })));
        check("lab --port 65532", Ok(Task::Lab(Lab { first: 65532, kv_lag: 2000 })));
        check("lab --port 65533", Err("--port 65533 leaves no ports for the other locations and the origin"));
        check("lab --kv-lag", Err("--kv-lag needs milliseconds after it"));
        check("lab --kv-lag 2s", Err("--kv-lag takes milliseconds, not `2s`"));
        check("lab --origin-port 1", Err("there is no flag `--origin-port` here"));
    }

    #[test]
    fn the_fuzzer_takes_targets_and_minutes() {
        let fuzz = |targets: &[&str], minutes| {
            Task::Fuzz(Fuzz { targets: targets.iter().map(|&name| name.to_owned()).collect(), minutes })
        };
        check("fuzz", Ok(fuzz(&[], 10)));
        check("fuzz target webhook --minutes 1", Ok(fuzz(&["target", "webhook"], 1)));
        check("fuzz --minutes=60 target", Ok(fuzz(&["target"], 60)));
        check("fuzz --minutes", Err("--minutes needs a number after it"));
        check("fuzz --minutes 0", Err("--minutes takes a number from 1 to 1440, not `0`"));
        check("fuzz --seconds 5", Err("there is no flag `--seconds` here"));
    }

    #[test]
    fn a_benchmark_is_named() {
        check("bench storm", Ok(Task::Bench(Bench::Storm)));
        check("bench verify", Ok(Task::Bench(Bench::Verify)));
        check("bench", Err("bench needs the name of a benchmark after it: storm or verify"));
        check("bench calm", Err("there is no benchmark `calm`"));
        check("bench storm --quick", Err("there is no flag `--quick` here"));
        check("bench storm --help", Ok(Task::Help));
    }

    #[test]
    fn the_suite_has_a_place_and_may_be_accepted() {
        let of = |accept| Task::Conformance(Conformance { suite: "../suite".into(), accept });
        check("conformance --suite ../suite", Ok(of(false)));
        check("conformance --accept --suite=../suite", Ok(of(true)));
        check("conformance", Err("conformance needs --suite <clone>: a clone of http-tests/cache-tests"));
        check("conformance --suite", Err("--suite needs a folder after it"));
        check("conformance --suite x --accept=1", Err("there is no flag `--accept` here"));
        check("conformance ../suite", Err("there is no flag `../suite` here"));
    }

    #[test]
    fn a_mistake_is_named() {
        check("", Err("no task was named"));
        check("deploy", Err("there is no task `deploy`"));
        check("setup --fast", Err("there is no flag `--fast` here"));
        check("test --short", Err("there is no flag `--short` here"));
        check("build --long", Err("there is no flag `--long` here"));
        check("dev 8787", Err("there is no flag `8787` here"));
        check("dev --port", Err("--port needs a port number after it"));
        for bad in ["0", "65536", "-1", "http"] {
            check(
                &format!("dev --port {bad}"),
                Err(&format!("--port takes a port number from 1 to 65535, not `{bad}`")),
            );
        }
        check(
            "dev --port 8788",
            Err("--port and --origin-port are both 8788: the Worker and the origin need a port each"),
        );
    }
}
