//! Theme: prune.

use super::Theme;

/// The themes of this file.
pub const THEMES: &[Theme] = &[];
