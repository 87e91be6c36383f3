//! Holds nothing: the benches lie beside `Cargo.toml`, the PyTorch peer in `peer/`.
