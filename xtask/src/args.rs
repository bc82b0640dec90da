//! The command line: `cargo xtask <task> [flags]`.

/// Shown for `help` and after a mistake.
pub const USAGE: &str = "\
usage: cargo xtask <task>

  setup                 install what is missing: wasm32 target, worker-build, wasm-bindgen, npm packages
  build                 build the Worker into build/
  check                 the fast part of the tests: formatting, lints, docs, native tests
  test [--long]         everything: setup, check, build, wasm size, end-to-end tests on workerd;
                        with --long, more cases of each, and the mutants
  mutants               make the mistakes of tests/mutants.toml, each of which the explorer must find
  dev [--port <n>] [--origin-port <n>]
                        run the reference origin (8788) and the Worker (8787) until Ctrl-C
  help                  this text";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Print the usage.
    Help,
    /// Install what is missing.
    Setup,
    /// Build the Worker.
    Build,
    /// The fast part of the tests.
    Check,
    /// All tests.
    Test {
        /// The slow cases as well.
        long: bool,
    },
    /// Mistakes that must be found.
    Mutants,
    /// Run the origin and the Worker.
    Dev(Ports),
}

/// Where `dev` listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The Worker's port.
    pub edge: u16,
    /// The reference origin's port.
    pub origin: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { edge: 8787, origin: 8788 }
    }
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
        "build" => plain(Task::Build),
        "check" => plain(Task::Check),
        "mutants" => plain(Task::Mutants),
        "test" => parse_test(flags),
        "dev" => parse_dev(flags),
        other => Err(format!("there is no task `{other}`")),
    }
}

fn parse_test(flags: &[String]) -> Result<Task, String> {
    let mut long = false;
    for flag in flags {
        match flag.as_str() {
            "--long" => long = true,
            other => return Err(unknown(other)),
        }
    }
    Ok(Task::Test { long })
}

fn parse_dev(flags: &[String]) -> Result<Task, String> {
    let mut ports = Ports::default();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let (name, inline) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag.as_str(), None),
        };
        let port = match name {
            "--port" => &mut ports.edge,
            "--origin-port" => &mut ports.origin,
            other => return Err(unknown(other)),
        };
        let value = inline.or_else(|| flags.next().map(String::as_str));
        *port = parse_port(name, value)?;
    }
    if ports.edge == ports.origin {
        return Err(format!(
            "--port and --origin-port are both {}: the Worker and the origin need a port each",
            ports.edge
        ));
    }
    Ok(Task::Dev(ports))
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
        Task::Dev(Ports { edge, origin })
    }

    #[test]
    fn each_task_is_one_word() {
        check("setup", Ok(Task::Setup));
        check("build", Ok(Task::Build));
        check("check", Ok(Task::Check));
        check("mutants", Ok(Task::Mutants));
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
    fn a_mistake_is_named() {
        check("", Err("no task was named"));
        check("deploy", Err("there is no task `deploy`"));
        check("setup --fast", Err("there is no flag `--fast` here"));
        check("test --short", Err("there is no flag `--short` here"));
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
