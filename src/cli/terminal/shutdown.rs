//! Signals that end the process: work in progress is finished, and nothing more is started.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::screen::Screen;

/// A request to shut down, shared by everything that would start more work.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    requested: watch::Sender<bool>,
    /// Whether there is work to finish.
    is_working: Arc<AtomicBool>,
}

impl Shutdown {
    /// Listens for Ctrl-C, SIGTERM and SIGHUP (the terminal is closed, or its connection lost) from now on. Before
    /// [`Self::begin_work`], the first of them ends the process; afterwards, the first one requests a shutdown, and the
    /// second one ends the process.
    pub(crate) fn listen(screen: &Screen) -> Self {
        let shutdown = Self { requested: watch::Sender::new(false), is_working: Arc::default() };
        match Signals::listen() {
            Ok(signals) => {
                tokio::spawn(shutdown.clone().handle(signals, screen.clone()));
            }
            Err(error) => screen.error(&format!("cannot listen for signals: {error}")),
        }
        shutdown
    }

    async fn handle(self, mut signals: Signals, screen: Screen) {
        loop {
            let signal = signals.next().await;
            let is_working = self.is_working.load(Ordering::SeqCst);
            if self.requested.send_replace(true) || !is_working {
                screen.quit(signal.exit_status());
            }
            screen.note(&match signal {
                Signal::Interrupt => "Finishing work in progress; press Ctrl-C again to quit".to_owned(),
                signal => {
                    format!("{}: finishing work in progress; a second signal ends the process", signal.name())
                }
            });
        }
    }

    /// From now on, there is work that has to be finished before the process ends.
    pub(crate) fn begin_work(&self) {
        self.is_working.store(true, Ordering::SeqCst);
    }

    /// Requests a shutdown for another reason.
    pub(crate) fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Returns whether a shutdown was requested.
    pub(crate) fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until a shutdown is requested.
    pub(crate) async fn requested(&self) {
        // This cannot fail: it fails only without a sender, and `self` is one.
        let _ = self.requested.subscribe().wait_for(|requested| *requested).await;
    }
}

/// A signal that requests a shutdown. Each has its number on every Unix system
/// (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/kill.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code))] // other systems have Ctrl-C alone
enum Signal {
    Hangup = 1,
    Interrupt = 2,
    Terminate = 15,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Returns the exit status that a shell reports of a program that the signal ended.
    fn exit_status(self) -> i32 {
        128 + self as i32
    }
}

/// The signals that are listened for.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// `None` if it is ignored, as `nohup` wants it.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: if is_ignored(Signal::Hangup) { None } else { Some(signal(SignalKind::hangup())?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            _ = hung_up => Signal::Hangup,
        }
    }
}

/// Returns whether the process was started with this signal ignored, as far as the system says so (Linux:
/// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
#[cfg(unix)]
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

/// The signals that are listened for.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps)] // it fails on Unix
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
