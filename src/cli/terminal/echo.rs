//! The echo of control characters: `^C` after a line of progress would keep that line on the screen.

#[cfg(unix)]
use std::io::stderr;

#[cfg(unix)]
use rustix::process::getpgrp;
#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

/// Turns the echo of control characters off, until it is dropped.
#[derive(Debug)]
pub(super) struct NoControlEcho {
    /// Whether the echo was on.
    was_on: bool,
}

impl NoControlEcho {
    /// Turns the echo off on the terminal of standard error.
    pub(super) fn new() -> Self {
        Self { was_on: set(false) }
    }

    /// Turns the echo on again, if it was on.
    pub(super) fn restore(&self) {
        if self.was_on {
            set(true);
        }
    }
}

impl Drop for NoControlEcho {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Turns the echo on or off, and returns whether it was on. If the terminal does not allow that, nothing is lost but a
/// clean screen.
#[cfg(unix)]
fn set(is_on: bool) -> bool {
    // A process in the background that changes its terminal is stopped.
    let is_in_foreground = tcgetpgrp(stderr()).is_ok_and(|group| group == getpgrp());
    let Ok(mut modes) = tcgetattr(stderr()) else { return false };
    if !is_in_foreground {
        return false;
    }
    let was_on = modes.local_modes.contains(LocalModes::ECHOCTL);
    modes.local_modes.set(LocalModes::ECHOCTL, is_on);
    let _ = tcsetattr(stderr(), OptionalActions::Now, &modes);
    was_on
}

/// Other systems do not echo control characters.
#[cfg(not(unix))]
fn set(_: bool) -> bool {
    false
}
