//! The tests of this package lie beside `Cargo.toml`, their fixtures in `fixtures/`. Here is only the README, whose Rust is a doc test.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
