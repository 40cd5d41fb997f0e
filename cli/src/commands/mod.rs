//! The commands, one per file: the arguments, and what is done with them.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod dlq;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod kick;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod members;
pub(crate) mod publish;
pub(crate) mod rooms;
pub(crate) mod tail;
pub(crate) mod token;
