//! Experiments.

pub mod random;
