//! Ctrl-C: work in progress is finished, and nothing more is started.

use tokio::sync::watch;

use super::messages;

/// The exit status after a second Ctrl-C, as a shell reports it for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// A request to shut down, shared by everything that would start more work.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// Listens for Ctrl-C from now on. The first one requests a shutdown, the second one ends the process.
    pub(crate) fn listen() -> Self {
        let shutdown = Self(watch::Sender::new(false));
        let requested = shutdown.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if requested.0.send_replace(true) {
                    std::process::exit(INTERRUPTED);
                }
                messages::note("Finishing work in progress; press Ctrl-C again to quit");
            }
        });
        shutdown
    }

    /// Requests a shutdown for another reason.
    pub(crate) fn request(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether a shutdown was requested.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until a shutdown is requested.
    pub(crate) async fn requested(&self) {
        // This cannot fail: it fails only without a sender, and `self` is one.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
    }
}
