//! Ctrl-C: what is under way is finished, and nothing more is begun.

use tokio::sync::watch;

/// Tells whether the work has to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Sender<bool>);

impl Interrupt {
    /// Listens from now on: the first Ctrl-C is told, the second one ends the process, as ever.
    pub(crate) fn listen() -> Self {
        let interrupt = Self(watch::Sender::new(false));
        let tell = interrupt.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if tell.0.send_replace(true) {
                    std::process::exit(130);
                }
                anstream::eprintln!("Ending after what is under way. Again Ctrl-C ends at once.");
            }
        });
        interrupt
    }

    /// Has the work end for another reason.
    pub(crate) fn tell(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has to end.
    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it has to end.
    pub(crate) async fn told(&self) {
        // It cannot fail: this is a sender, so that there is one.
        let _ = self.0.subscribe().wait_for(|told| *told).await;
    }
}
