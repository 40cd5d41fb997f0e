//! Mistakes that Hermes does not make, wired in from outside: what the checks are tried on.

/// A Hermes with at most one mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// What is deployed.
    Real,
    /// A 410 removes the connection's row, however young it is.
    ForgetsOnAnyGone,
    /// A frame is acknowledged before it is handled.
    AcksBeforeTheAppend,
    /// Members are read from a copy of the table that lags behind, as an index would.
    LaggingIndex,
    /// The log takes an id again.
    NoIdempotency,
    /// `pong` does not tell where the streams end.
    PongWithoutHeads,
    /// Ids are unique per stream, whoever sends: one member uses up another's.
    OneSpaceOfIds,
    /// The consumer of a FIFO queue goes on behind a failure.
    FifoWithoutStop,
}

impl Variant {
    /// All but the real one.
    pub const MISTAKES: [Self; 7] = [
        Self::ForgetsOnAnyGone,
        Self::AcksBeforeTheAppend,
        Self::LaggingIndex,
        Self::NoIdempotency,
        Self::PongWithoutHeads,
        Self::OneSpaceOfIds,
        Self::FifoWithoutStop,
    ];
}
