//! The built Worker on real workerd, between a raw client, a scripted origin, and stores that can fail: one of it
//! ([`harness`] shows how a case is written), or several as the locations of a network ([`locations`]).

#![expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "it serves tests: it fails by panicking, and what a test forgets to use shows in the test"
)]

pub mod cache_status;
pub mod case;
pub mod client;
pub mod config;
pub mod conformance;
pub mod day;
pub mod gate;
pub mod harness;
pub mod issuer;
pub mod locations;
pub mod origin;
pub mod promise;
pub mod purge;
pub mod receipt;
pub mod secrets;
pub mod server;
pub mod session;
pub mod stored;
pub mod stores;
pub mod storm;
pub mod verify;
pub mod webhook;
pub mod websocket;
pub mod wire;
pub mod workerd;
pub mod zone;

pub use locations::{At, Lab, Layout};
