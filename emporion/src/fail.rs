//! How the program fails: one line that says what to do, and an exit code.

use std::{error::Error, fmt, process::ExitCode};

/// Why the program ends early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// The command line or the configuration file asks for what cannot be. Exit code 2.
    Usage(String),
    /// It was tried and did not work. Exit code 1.
    Failed(String),
    /// Likewise, and everything about it is printed already.
    Told,
    /// There was nothing to do but print help or a version. Exit code 0.
    Help,
}

impl Fail {
    /// A failure told by an error and its causes, in one line.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::Failed(one_line(error))
    }

    pub(crate) const fn is_told(&self) -> bool {
        match self {
            Self::Told | Self::Help => true,
            Self::Usage(_) | Self::Failed(_) => false,
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Told => ExitCode::FAILURE,
            Self::Help => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Failed(why) => f.write_str(why),
            Self::Told | Self::Help => Ok(()),
        }
    }
}

/// The error with its causes; one that its parent repeats is left out.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
