//! What the bench measured.

use serde::{Deserialize, Serialize};

/// The figures of the last `cargo xtask bench`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// The day.
    pub date: String,
    /// The machine.
    pub machine: String,
    /// Of the functions of this project.
    pub hermes: Figures,
    /// Of the Node.js design that it grew from.
    pub tutorial: Figures,
}

/// Of one design. CPU times are those of one full core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// CPU time of an accepted handshake, bcrypt included, in microseconds.
    pub authorizer_us: f64,
    /// CPU time of a connect, in microseconds.
    pub connect_us: f64,
    /// CPU time of a disconnect, in microseconds.
    pub disconnect_us: f64,
    /// CPU time of a ping, in microseconds.
    pub ping_us: f64,
    /// CPU time of a message besides its posts, in microseconds.
    pub message_us: f64,
    /// CPU time of a post, in microseconds.
    pub post_us: f64,
    /// Size of a connection's row, in bytes.
    pub row_bytes: f64,
    /// Read units of a message besides its room, where a history is kept.
    pub history_reads: f64,
    /// Write units of a message where a history is kept.
    pub history_writes: f64,
    /// Read units of a ping where a history is kept.
    pub ping_reads: f64,
}

impl Measured {
    /// The figures of this version.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file.
    pub fn last() -> Self {
        serde_json::from_str(include_str!("../measured.json")).expect("a test reads it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_there() {
        assert!(Measured::last().hermes.post_us > 0.0);
    }
}
