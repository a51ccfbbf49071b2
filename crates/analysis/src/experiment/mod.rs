//! Experiments.

pub mod bets;
pub mod bootstrap;
pub mod posterior;
pub mod random;
pub mod ratio;
pub mod thompson;
