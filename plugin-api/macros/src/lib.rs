//! The attributes of `sexton-plugin-api`: `#[scheduled_event]`, `#[action]`, `#[plugin]`.
//!
//! Not for direct use. What must hold: the code written out catches every panic and never writes `extern "C"` for the author to see.
