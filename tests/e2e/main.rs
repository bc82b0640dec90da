//! End-to-end tests: the built Worker on real workerd, between a raw client, a scripted origin, and
//! stores that can fail.
#![allow(
    clippy::disallowed_methods,
    reason = "what is tested here runs in real time, so it is measured in real time"
)]

mod client;
mod gate;
mod origin;
mod server;
mod stores;
mod websocket;
mod wire;
