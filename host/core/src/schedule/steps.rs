//! The budget of a search: what looks for a time spends a step for each period, day or zone change it looks at.
//!
//! Not a clock: steps are the same number on every machine. What must hold: whoever searches asks before each step, so that no schedule,
//! however odd, searches for ever; an exhausted budget is an error to the caller (`INP022`), never "there is no further time".

/// Steps that one question may take. A rule that fires at all is answered within some thousands; the most are needed by what never fires.
pub(crate) const STEPS_MAX: u32 = 100_000;

/// Steps taken by one question, and how many it may take.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    taken: u32,
    most: u32,
}

impl Steps {
    /// A fresh budget of [`STEPS_MAX`].
    pub(crate) fn new() -> Self {
        Self { taken: 0, most: STEPS_MAX }
    }

    /// Takes a step. `false`: none is left, stop and give up.
    #[must_use]
    pub(crate) fn take(&mut self) -> bool {
        self.taken = self.taken.saturating_add(1);
        !self.is_spent()
    }

    /// Whether the search ended because its budget did, so that "nothing found" says nothing.
    pub(crate) fn is_spent(&self) -> bool {
        self.taken > self.most
    }

    /// How many were taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }
}
