//! Sequential tests that lean on nothing but the router's own draw.
//!
//! - [`score`]: what an outcome scores; [`ranks`]: where it ranks so far,
//! - [`law`]: the exact law of a score where coins are independent,
//! - [`resalt`]: the draw repeated with other salts where subjects stick,
//! - [`spend`]: how the risk is released,
//! - [`rare`]: whether bad answers are rare whatever control does,
//! - [`test`]: one test over all looks, made of these.

pub mod law;
pub mod ranks;
pub mod rare;
pub mod resalt;
pub mod score;
pub mod spend;
pub mod test;
