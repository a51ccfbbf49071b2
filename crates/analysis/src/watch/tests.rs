//! A watch as its users meet it.
