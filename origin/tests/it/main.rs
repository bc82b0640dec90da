//! The reference origin over real sockets.

mod admission;
mod client;
mod command;
mod consistency;
mod development;
mod echo;
mod events;
mod faults;
mod figures;
mod isolation;
mod live;
mod receiver;
mod routes;
mod rules;
mod server;
mod session;
mod sizes;
mod webhooks;
