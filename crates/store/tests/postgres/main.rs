//! The store on a real Postgres.

#![cfg(test)]

mod badges;
mod conforms;
mod database;
mod erased;
mod keeping;
mod killed;
mod support;
mod wall;
