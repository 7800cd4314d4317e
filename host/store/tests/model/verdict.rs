//! What the parts of the test say to each other: how a step failed.
//!
//! Not panics: a failing sequence is tried hundreds of times while it is made shorter, and each panic would be printed.

/// Whether a step was as it has to be; if not, why.
pub type Verdict = std::result::Result<(), String>;
/// The same with a value.
pub type Checked<T> = std::result::Result<T, String>;

/// Fails the step unless it holds.
macro_rules! hold {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use hold;
