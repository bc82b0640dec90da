//! The explorer: every execution of a few tasks, at every operation, within a stated budget.
//!
//! By itself, each task runs to its end and the next one begins. A budget says how often it goes otherwise: somebody else
//! moves on, the clock moves, something goes wrong. Within it, everything is tried, with an operation of each actor as the
//! smallest step.
//!
//! It is stateless model checking of the production code: an execution is a list of choices, made again from the start
//! to come back to a place where another choice was left. What is pruned is what was seen: a state is what is stored
//! and under way, and for each actor all that it has read.

mod plan;
mod plans;
mod promise;
mod run;
mod search;
