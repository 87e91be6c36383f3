//! Holds nothing: the tests of this package lie beside `Cargo.toml`, their fixtures in `fixtures/`.
