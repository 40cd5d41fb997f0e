//! What a month costs: AWS's list prices ([`Prices`]), what the bench measured of each design
//! ([`Measured`]), and the sum for a [`Workload`] ([`bills`]).
//!
//! Both tables are files beside this code, each with its date; `cargo xtask bench` writes the second one.

mod bill;
mod measured;
mod prices;

pub use bill::{Bill, DAYS, Line, Workload, billed_ms, bills, fanout_ms};
pub use measured::{Figures, Measured};
pub use prices::{Price, Prices};
