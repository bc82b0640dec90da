//! An edge cache for a dashboard API, as a Cloudflare Worker.
//!
//! The path of a request, and where to read about each step of it:
//!
//! 1. `shell::fetch` converts the runtime's request and calls [`pipeline::serve`];
//! 2. [`target`] reads the URL, [`classify`](mod@classify) finds its rule in [`rules`], or a reason to pass it on;
//! 3. [`access`] says who is asking, [`key`] what the answer is called;
//! 4. [`lookup`](mod@lookup) asks the tiers and the ledger ([`ports`]), and [`reuse`](mod@reuse) judges each [`entry`] by its
//!    [`freshness`](mod@freshness) and its [`epoch`];
//! 5. a fill asks the origin ([`forwarding`]) and [`storing`] says whether its answer is kept;
//! 6. [`answer`] states [`cache_control`], [`cache_status`] and a [`validation`] tag;
//! 7. what nobody waits for is data, and [`after::finish`] does it after the answer.
//!
//! Policy is pure: it reads no clock and does no I/O, and without `std` it cannot. Only `shell` names the
//! Workers runtime.

// The runtime's macros need `std`. Natively the core is built without it: it has no clock that it could read.
#![cfg_attr(not(any(target_arch = "wasm32", feature = "shell")), no_std)]
// A panic takes down an isolate and every request in it: there is none on the path.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented
)]

#[macro_use]
extern crate alloc;

pub mod access;
pub mod admin;
pub mod after;
pub mod answer;
pub mod breaker;
pub mod cache_control;
pub mod cache_status;
pub mod classify;
pub mod collapse;
pub mod config;
pub mod cors;
pub mod date;
pub mod early;
pub mod entry;
pub mod epoch;
pub mod events;
pub mod fill;
pub mod follow;
pub mod forwarding;
pub mod freshness;
pub mod groups;
pub mod guard;
pub mod invalidate;
pub mod keep;
pub mod key;
pub mod latch;
pub mod ledger;
pub mod lookup;
pub mod memory;
pub mod meter;
pub mod names;
pub mod operators;
pub mod pipeline;
pub mod ports;
pub mod problem;
pub mod purge;
pub mod range;
pub mod reach;
pub mod received;
pub mod refresh;
pub mod respond;
pub mod reuse;
pub mod rules;
pub mod small;
pub mod snapshot;
pub mod stores;
pub mod storing;
pub mod structured;
pub mod target;
pub mod time;
pub mod token;
pub mod turn;
pub mod upstream;
pub mod validation;
pub mod vary;
pub mod webhook;

#[cfg(any(target_arch = "wasm32", feature = "shell"))]
mod shell;
