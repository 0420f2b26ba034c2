//! The store on a real Postgres.

#![cfg(test)]
#![cfg(feature = "postgres")]

mod keeping;
mod killed;
mod support;
mod wall;
