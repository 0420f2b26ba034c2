//! Properties of building and drawing: what is accepted, what is refused and why, how large it may be, what is drawn.

#![cfg(test)]

mod drawings;
mod large;
mod wirings;
