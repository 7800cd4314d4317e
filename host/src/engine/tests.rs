//! The engine on a store in memory, with generations that are threads of the test: real channels, a real flight record, no plugin code.

mod acting;
mod alerting;
mod altering;
mod calling;
mod chaining;
mod ending;
mod failing;
mod intaking;
mod keeping;
mod late;
mod limiting;
mod logging;
mod overlapping;
mod overstaying;
mod retrying;
mod rig;
mod running;
mod watching;
