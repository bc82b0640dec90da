//! What must hold of whatever comes in from outside: one function for each place where it does.
//!
//! Each takes any bytes, and panics where something does not hold. libFuzzer runs them by `cargo xtask fuzz`, and
//! `tests/it/seeds.rs` over the files of `seeds/` and what is near them.

mod cache_control;
mod cache_status;
mod envelope;
mod jwt;
mod purge_body;
mod stored;
mod target;
mod webhook;

use std::sync::OnceLock;

use hotrod_edge::config::Config;
use hotrod_edge::rules::{Rules, Shape, Stored, load};

/// A function that takes anything from outside.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "cache_control", check: cache_control::check },
    Target { name: "cache_status", check: cache_status::check },
    Target { name: "envelope", check: envelope::check },
    Target { name: "jwt", check: jwt::check },
    Target { name: "purge_body", check: purge_body::check },
    Target { name: "stored", check: stored::check },
    Target { name: "target", check: target::check },
    Target { name: "webhook", check: webhook::check },
];

/// The repository's rules, and a route with the kinds of parameters that these have not.
///
/// # Panics
/// If rules.toml is wrong.
pub fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    const TEXT: &str = concat!(include_str!("../../rules.toml"), include_str!("kinds.toml"));
    RULES.get_or_init(|| load("rules.toml", TEXT).expect("these rules are right"))
}

/// The ways in which answers are stored whose class decides: of routes with one and the same, the first.
fn storable() -> &'static [(&'static Stored, &'static Shape)] {
    static STORABLE: OnceLock<Vec<(&Stored, &Shape)>> = OnceLock::new();
    STORABLE.get_or_init(|| {
        let mut storable: Vec<(&Stored, &Shape)> = Vec::new();
        for (stored, shape) in rules().stored().filter_map(|(_, stored)| Some((stored, stored.shape()?))) {
            let judges =
                |stored: &Stored, shape: &Shape| (stored.lifetimes, shape.require.clone(), shape.volatile.clone());
            if !storable.iter().any(|(other, its)| judges(other, its) == judges(stored, shape)) {
                storable.push((stored, shape));
            }
        }
        storable
    })
}

/// A deployment of one tenant.
fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let get = |name: &str| {
            let value = match name {
                "ACCESS_MODE" => "open",
                "TENANT" => TENANT,
                "ORIGIN" => "https://origin.test",
                "HOSTS" => "dash.test localhost",
                "OPERATOR_TOKENS_SHA256" => "0000000000000000000000000000000000000000000000000000000000000000",
                "ORIGIN_SECRET" | "EPOCH_SECRET" => "a-secret-of-the-fuzzer",
                _ => return None,
            };
            Some(value.to_owned())
        };
        Config::read(rules(), get).expect("these settings are complete")
    })
}

/// The tenant of [`config`].
const TENANT: &str = "shop.test";
