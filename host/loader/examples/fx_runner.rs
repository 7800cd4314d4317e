//! The runner as a program: what a host starts, for tests whose own program is no host.
//!
//! Not for people. What must hold: it starts no thread before it serves.

fn main() {
    sexton_loader::runner::serve();
}
