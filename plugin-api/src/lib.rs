//! What a plugin author of Sexton builds against.
//!
//! Not the host: no tokio, SQL or HTTP here. What must hold: everything that crosses the boundary is in `abi` (layout) or `wire` (JSON).

pub mod abi;
pub mod wire;
