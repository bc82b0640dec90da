//! The configuration of workerd: Workers, their bindings, and the services they point at, as Cap'n Proto text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// In this field a client says by which scheme it came, as what ends TLS before a Worker does.
pub const PROTO: &str = "Lab-Proto";

/// Workers of one build, side by side in one process.
#[derive(Clone)]
pub struct Deployment {
    /// Modules by name; the first is the main one.
    pub modules: Vec<(String, Vec<u8>)>,
    /// `YYYY-MM-DD`.
    pub compatibility_date: String,
    /// Flags beside the date.
    pub compatibility_flags: Vec<String>,
    /// The Workers. They share Durable Objects and nothing else.
    pub workers: Vec<WorkerConfig>,
}

/// A Worker and all that it is given.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Its name, and its socket's.
    pub name: String,
    /// The loopback port; 0 is any free one. Without a port nothing from outside reaches it.
    pub port: Option<u16>,
    /// Text bindings: variables and secrets.
    pub vars: BTreeMap<String, String>,
    /// The binding `KV`, and where its namespace is served.
    pub kv: Option<SocketAddr>,
    /// The Durable Object binding `LEDGER` (class `Ledger`), and the Worker in which the objects run.
    pub ledger: Option<String>,
    /// Where the Cache API is served.
    pub cache: SocketAddr,
}

impl Deployment {
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
        let (mut services, mut sockets, mut workers) = (String::new(), String::new(), String::new());
        for (number, worker) in self.workers.iter().enumerate() {
            services.push_str(&worker.services(number));
            sockets.push_str(&worker.socket());
            workers.push_str(&self.worker(worker, number));
        }
        format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [{services}
    (name = "objects", disk = (path = {objects}, writable = true)),
    # Loopback and nothing else: no test reaches another machine.
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [{sockets}
  ],
);
const modules :List(Workerd.Worker.Module) = [{modules}
];
{workers}"#,
            objects = quoted(&folder.join("objects").to_string_lossy()),
            modules = self.module_list(),
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
            let _infallible = write!(list, "\n  (name = {0}, {kind} = embed {0}),", quoted(name));
        }
        list
    }

    fn worker(&self, worker: &WorkerConfig, number: usize) -> String {
        let namespaces = r#"(className = "Ledger", uniqueKey = "ledger", enableSql = true)"#;
        format!(
            r#"const worker{number} :Workerd.Worker = (
  modules = .modules,
  compatibilityDate = {date},
  compatibilityFlags = [{flags}],
  bindings = [{bindings}
  ],
  cacheApiOutbound = "cache{number}",
  durableObjectNamespaces = [{namespaces}],
  durableObjectStorage = (localDisk = "objects"),
);
"#,
            date = quoted(&self.compatibility_date),
            flags = self.compatibility_flags.iter().map(|flag| quoted(flag)).collect::<Vec<_>>().join(", "),
            bindings = worker.binding_list(number),
            namespaces = if worker.hosts_ledger() { namespaces } else { "" },
        )
    }
}

impl WorkerConfig {
    fn hosts_ledger(&self) -> bool {
        self.ledger.as_ref() == Some(&self.name)
    }

    fn services(&self, number: usize) -> String {
        let (name, cache) = (quoted(&self.name), self.cache);
        let mut services = format!(
            r#"
    (name = {name}, worker = .worker{number}),
    (name = "cache{number}", external = (address = "{cache}", http = (style = proxy))),"#
        );
        if let Some(kv) = self.kv {
            let _infallible =
                write!(services, "\n    (name = \"kv{number}\", external = (address = \"{kv}\", http = ())),");
        }
        services
    }

    fn socket(&self) -> String {
        let name = quoted(&self.name);
        self.port.map_or_else(String::new, |port| {
            format!("\n    (name = {name}, address = \"127.0.0.1:{port}\", http = (forwardedProtoHeader = \"{PROTO}\"), service = {name}),")
        })
    }

    fn binding_list(&self, number: usize) -> String {
        let mut list = String::new();
        for (name, value) in &self.vars {
            let _infallible = write!(list, "\n    (name = {}, text = {}),", quoted(name), quoted(value));
        }
        if self.kv.is_some() {
            let _infallible = write!(list, "\n    (name = \"KV\", kvNamespace = \"kv{number}\"),");
        }
        if let Some(host) = &self.ledger {
            let host = quoted(host);
            let _infallible = write!(
                list,
                "\n    (name = \"LEDGER\", durableObjectNamespace = (className = \"Ledger\", serviceName = {host})),"
            );
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

/// Where `cargo xtask build` leaves the Worker that is deployed.
pub const DEPLOYED: &str = "build";
/// Where it leaves the one whose routes follow their origin (tests/follow/rules.toml).
pub const FOLLOW: &str = "tests/follow/build";

/// A Worker as `cargo xtask build` leaves it in this folder: every module, `index.js` first.
pub fn built_modules(folder: &str) -> Vec<(String, Vec<u8>)> {
    let build = root().join(folder);
    assert!(build.join("index.js").is_file(), "{folder}/index.js is missing: run `cargo xtask build` first");
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
            let name = path.strip_prefix(build).expect("a file under the build folder").to_string_lossy().into_owned();
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
