//! The configuration of workerd: one Worker, its bindings, and the services they point at, as Cap'n Proto text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A Worker and all that it is given.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Modules by name; the first is the main one.
    pub modules: Vec<(String, Vec<u8>)>,
    /// `YYYY-MM-DD`.
    pub compatibility_date: String,
    /// Flags beside the date.
    pub compatibility_flags: Vec<String>,
    /// Text bindings: variables and secrets.
    pub vars: BTreeMap<String, String>,
    /// The binding `KV`, and where its namespace is served.
    pub kv: Option<SocketAddr>,
    /// The Durable Object binding `LEDGER` (class `Ledger`).
    pub ledger: bool,
    /// Where the Cache API is served.
    pub cache: SocketAddr,
}

impl WorkerConfig {
    /// Writes modules and configuration into `folder`, Durable Objects being kept in its `objects`.
    pub fn write(&self, folder: &Path) -> PathBuf {
        fs::create_dir_all(folder.join("objects")).expect("the folder for Durable Objects");
        for (name, bytes) in &self.modules {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(folder)).expect("the module's folder");
            fs::write(path, bytes).expect("a module in the temporary folder");
        }
        let file = folder.join("edge.capnp");
        fs::write(&file, self.text(folder)).expect("the configuration in the temporary folder");
        file
    }

    fn text(&self, folder: &Path) -> String {
        let kv = self.kv.map_or_else(String::new, |address| {
            format!("(name = \"kv\", external = (address = \"{address}\", http = ())),")
        });
        format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    {kv}
    (name = "cache", external = (address = "{cache}", http = (style = proxy))),
    (name = "objects", disk = (path = {objects}, writable = true)),
    # Loopback and nothing else: no test reaches another machine.
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [(name = "edge", address = "127.0.0.1:0", http = (), service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = {date},
  compatibilityFlags = [{flags}],
  bindings = [{bindings}],
  cacheApiOutbound = "cache",
  durableObjectNamespaces = [(className = "Ledger", uniqueKey = "ledger", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
);
"#,
            cache = self.cache,
            objects = quoted(&folder.join("objects").to_string_lossy()),
            modules = self.module_list(),
            date = quoted(&self.compatibility_date),
            flags = self.compatibility_flags.iter().map(|flag| quoted(flag)).collect::<Vec<_>>().join(", "),
            bindings = self.binding_list(),
        )
    }

    fn module_list(&self) -> String {
        let mut list = String::new();
        for (name, _) in &self.modules {
            let kind = if Path::new(name).extension().is_some_and(|extension| extension == "wasm") {
                "wasm"
            } else {
                "esModule"
            };
            let _infallible = write!(list, "\n    (name = {0}, {kind} = embed {0}),", quoted(name));
        }
        list
    }

    fn binding_list(&self) -> String {
        let mut list = String::new();
        for (name, value) in &self.vars {
            let _infallible = write!(list, "\n    (name = {}, text = {}),", quoted(name), quoted(value));
        }
        if self.kv.is_some() {
            list.push_str("\n    (name = \"KV\", kvNamespace = \"kv\"),");
        }
        if self.ledger {
            list.push_str("\n    (name = \"LEDGER\", durableObjectNamespace = \"Ledger\"),");
        }
        list
    }
}

/// A string of Cap'n Proto's text form.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _infallible = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the lab is a folder of the repository")
}

/// The Worker as `cargo xtask build` leaves it: every module in `build/`, `index.js` first.
pub fn built_modules() -> Vec<(String, Vec<u8>)> {
    let build = root().join("build");
    assert!(build.join("index.js").is_file(), "build/index.js is missing: run `cargo xtask build` first");
    let mut modules = Vec::new();
    collect(&build, &build, &mut modules);
    modules.sort_by_key(|(name, _)| (name != "index.js", name.clone()));
    modules
}

fn collect(build: &Path, folder: &Path, modules: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a readable build folder") {
        let path = entry.expect("a readable build folder").path();
        let module =
            path.extension().is_some_and(|extension| ["js", "mjs", "wasm"].iter().any(|known| extension == *known));
        if path.is_dir() {
            collect(build, &path, modules);
        } else if module {
            let name = path.strip_prefix(build).expect("a file under build/").to_string_lossy().into_owned();
            modules.push((name, fs::read(&path).expect("a readable module")));
        }
    }
}

/// The compatibility date of `wrangler.toml`, so that tests run what is deployed.
pub fn compatibility_date() -> String {
    let text = fs::read_to_string(root().join("wrangler.toml")).expect("wrangler.toml at the root");
    let line = text.lines().find(|line| line.starts_with("compatibility_date"));
    let date = line.and_then(|line| line.split('"').nth(1));
    date.expect("wrangler.toml has a line compatibility_date = \"YYYY-MM-DD\"").to_owned()
}
