//! Numbers that a caller gives, within the range that makes sense.

use std::ops::RangeInclusive;

use crate::error::{Error, ErrorKind, Result};

/// The number: more than is allowed is as much as is allowed, less is a mistake.
pub(super) fn at_most(act: &str, (name, number): (&str, i64), allowed: RangeInclusive<i64>) -> Result<usize> {
    let (least, most) = (*allowed.start(), *allowed.end());
    match usize::try_from(number.min(most)) {
        Ok(size) if number >= least => Ok(size),
        _ => {
            let range = if most == i64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
            let cause = format!("{name} is {number}, it must be {range}");
            Err(Error::new(ErrorKind::InvalidArgument, act, cause).hint("give such a number, or leave it out"))
        }
    }
}
