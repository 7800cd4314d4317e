//! The engine on a store in memory, with generations that are threads of the test: real channels, a real flight record, no plugin code.

mod acting;
mod altering;
mod calling;
mod ending;
mod failing;
mod intaking;
mod late;
mod logging;
mod rig;
mod running;
