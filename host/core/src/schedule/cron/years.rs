//! Which years match: all of them, or a set.
//!
//! Not the calendar. What must hold: a set holds years from 1 to 9999 only, and finding the next one is a matter of words of bits.

pub(super) const FIRST: u16 = 1;
pub(super) const LAST: u16 = 9_999;
const LAST_OF_CALENDAR: i16 = 9_999;

/// Every year, or those whose bit is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Years {
    set: Option<Box<[u64]>>,
}

impl Years {
    /// Those years, each from [`FIRST`] to [`LAST`].
    pub(super) fn of(years: &[u16]) -> Self {
        let mut set = vec![0u64; usize::from(LAST) / 64 + 1].into_boxed_slice();
        for year in years {
            set[usize::from(*year) / 64] |= 1 << (year % 64);
        }
        Self { set: Some(set) }
    }

    /// Whether nothing is asked of the year.
    pub(super) fn is_every(&self) -> bool {
        self.set.is_none()
    }

    pub(super) fn has(&self, year: i16) -> bool {
        self.at_or_after(year) == Some(year)
    }

    /// The first matching year from this one on.
    pub(super) fn at_or_after(&self, year: i16) -> Option<i16> {
        let Some(set) = &self.set else { return (year <= LAST_OF_CALENDAR).then_some(year) };
        let year = usize::try_from(year).unwrap_or(0);
        let mut left = set.get(year / 64)? & u64::MAX << (year % 64);
        let mut word = year / 64;
        while left == 0 {
            word += 1;
            left = *set.get(word)?;
        }
        i16::try_from(word * 64).ok()?.checked_add(i16::try_from(left.trailing_zeros()).ok()?)
    }

    /// The years of a set, in order. Empty if nothing is asked.
    pub(super) fn listed(&self) -> Vec<u32> {
        let mut years = Vec::new();
        let mut next = self.set.as_ref().and_then(|_| self.at_or_after(0));
        while let Some(year) = next {
            years.push(u32::from(year.unsigned_abs()));
            next = self.at_or_after(year + 1);
        }
        years
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_years_is_jumped_through() {
        let years = Years::of(&[1, 63, 64, 2_030, 9_999]);
        for (from, expected) in [(-44, Some(1)), (1, Some(1)), (2, Some(63)), (64, Some(64)), (65, Some(2_030)), (2_031, Some(9_999))] {
            assert_eq!(years.at_or_after(from), expected, "{from}");
        }
        assert_eq!((years.at_or_after(10_000), years.at_or_after(i16::MAX)), (None, None));
        assert_eq!((years.has(2_030), years.has(2_031), years.has(-1)), (true, false, false));
        assert_eq!(years.listed(), [1, 63, 64, 2_030, 9_999]);
        let every = Years::default();
        assert_eq!((every.at_or_after(-9_999), every.at_or_after(10_000), every.listed()), (Some(-9_999), None, vec![]));
    }
}
