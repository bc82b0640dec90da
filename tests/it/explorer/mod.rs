//! The explorer: every execution of a few tasks, at every operation, within a stated budget.
//!
//! It is stateless model checking of the production code: an execution is a list of choices, made again from the start
//! to come back to a place where another choice was left. What is pruned is what was seen: a state is what is stored
//! and under way, and for each actor all that it has read.

mod plan;
mod plans;
mod promise;
mod run;
mod search;
