//! A sink with a bound: what a user of it can observe.

#![cfg(test)]

mod courier;
mod emitting;
mod failing;
mod fan_out;
mod hammer;
mod log;
mod losses;
mod marks;
mod policies;
mod reentrant;
mod single;
mod spilling;
mod stopping;
mod support;
