//! The reference origin over real sockets.

mod client;
mod command;
mod consistency;
mod development;
mod events;
mod faults;
mod figures;
mod isolation;
mod live;
mod receiver;
mod routes;
mod rules;
mod server;
mod sizes;
mod webhooks;
