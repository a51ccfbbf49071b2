//! The golden vectors that other implementations are held to, and the laws
//! behind them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod assignment;
mod identity;
