//! The floor of a fan-out
fn main() {}
