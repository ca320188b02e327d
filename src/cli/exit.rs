//! How a command ended, in a number that scripts can branch on.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Success,
    /// It could not be done.
    Error,
    /// The command or an argument makes no sense.
    Usage,
    /// The job has not ended.
    Unfinished,
    /// The job ended badly, or some requests have no usable answer.
    Incomplete,
}

impl Exit {
    /// Every outcome, by its number.
    pub const ALL: [Self; 5] = [Self::Success, Self::Error, Self::Usage, Self::Unfinished, Self::Incomplete];

    /// The number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Unfinished => 3,
            Self::Incomplete => 4,
        }
    }

    /// What the number means.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Success => "Success.",
            Self::Error => "An error; standard error says what failed, why, and what to do.",
            Self::Usage => "Wrong usage: an unknown flag, or an argument that makes no sense.",
            Self::Unfinished => "The job has not ended yet: ask again later, or with --wait.",
            Self::Incomplete => "The job ended badly, or some requests have no usable answer.",
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidArgument => Self::Usage,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
