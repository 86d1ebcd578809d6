//! Works on inputs concurrently, with one worker for each core.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, channel, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::files::Input;

/// The number of messages that are passed at a time.
const BATCH: usize = 64;
/// The number of batches that may wait for those of the inputs before them: enough for a few files of usual size.
const QUEUE: usize = 512;

/// Returns how many workers there are for this number of inputs.
fn count(inputs: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(inputs)
}

/// Calls `work` for every input, in any order. It is called with the number of the input, too.
pub(crate) fn each(inputs: &[Input], work: impl Fn(usize, &Input) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(number) else { return };
            work(number, input);
        }
    };
    thread::scope(|scope| {
        for _ in 1..count(inputs.len()) {
            // If the system starts no more threads, those that it started do the work.
            let _ = thread::Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
}

/// What a worker sends about an input.
pub(crate) struct Sender<'q, M> {
    /// The number of the input.
    input: usize,
    batches: mpsc::Sender<Vec<M>>,
    batch: Vec<M>,
    queue: &'q Queue,
}

impl<M> Sender<'_, M> {
    /// Sends a message. Waits if too many are waiting.
    ///
    /// # Errors
    /// Returns an error if nobody receives messages any more.
    pub(crate) fn send(&mut self, message: M) -> io::Result<()> {
        self.batch.push(message);
        if self.batch.len() < BATCH { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let is_open = self.queue.add(self.input);
        let sent = is_open && self.batches.send(batch).is_ok();
        if sent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

/// Limits the batches of all inputs that wait.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    /// The number of batches that wait.
    waiting: usize,
    /// The input whose batches are received now.
    current: usize,
    /// Whether nothing is received any more.
    is_closed: bool,
}

impl Queue {
    /// Waits until a batch of an input may wait, and counts it. The current input has room of its own, because the others
    /// wait for it. Returns `false` if nothing is received any more.
    fn add(&self, input: usize) -> bool {
        let must_wait = |state: &mut QueueState| {
            let limit = if input == state.current { 2 * QUEUE } else { QUEUE };
            !state.is_closed && state.waiting >= limit
        };
        let state = self.changed.wait_while(self.state(), must_wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        !state.is_closed
    }

    fn remove(&self) {
        self.state().waiting -= 1;
        self.changed.notify_all();
    }

    fn receive_from(&self, input: usize) {
        self.state().current = input;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a queue when nothing is received any more, whatever the reason.
struct CloseOnDrop<'q>(&'q Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// Why not all inputs were worked on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InOrderError {
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Receiver(io::Error),
}

/// Calls `work` for every input, concurrently, and passes what it sends to `receive`, in the order of the inputs.
///
/// # Errors
/// Returns the first error of `receive`, which ends the work, or an error if the system starts no thread.
pub(crate) fn in_order<M: Send>(
    inputs: &[Input],
    work: impl Fn(&Input, &mut Sender<'_, M>) -> io::Result<()> + Sync,
    mut receive: impl FnMut(&Input, M) -> io::Result<()>,
) -> Result<(), InOrderError> {
    let workers = count(inputs.len());
    let (next, queue) = (AtomicUsize::new(0), Queue::default());
    let worker = |begun: &SyncSender<(usize, Receiver<Vec<M>>)>| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(number) else { return };
            let (batches, receiver) = channel();
            // An error means that nobody receives what would be sent.
            if begun.send((number, receiver)).is_err() {
                return;
            }
            let batch = Vec::with_capacity(BATCH);
            let mut sender = Sender { input: number, batches, batch, queue: &queue };
            let _ = work(input, &mut sender).and_then(|()| sender.flush());
        }
    };
    thread::scope(|scope| {
        // Its capacity limits how many inputs are begun before an earlier one is finished.
        let (begun, announced) = sync_channel(workers);
        let started = (0..workers).map(|_| {
            let (worker, begun) = (&worker, begun.clone());
            thread::Builder::new().spawn_scoped(scope, move || worker(&begun)).map(|_| ())
        });
        // If the system starts only some of the threads, these do the work.
        started.reduce(Result::or).unwrap_or(Ok(())).map_err(InOrderError::Thread)?;
        drop(begun);
        let _closing = CloseOnDrop(&queue);
        let mut waiting = HashMap::new();
        for (number, input) in inputs.iter().enumerate() {
            queue.receive_from(number);
            while !waiting.contains_key(&number)
                && let Ok((begun, receiver)) = announced.recv()
            {
                waiting.insert(begun, receiver);
            }
            for batch in waiting.remove(&number).into_iter().flatten() {
                queue.remove();
                let mut messages = batch.into_iter();
                messages.try_for_each(|message| receive(input, message)).map_err(InOrderError::Receiver)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;

    fn inputs(count: usize) -> Vec<Input> {
        (0..count).map(|number| Input::File(PathBuf::from(number.to_string()))).collect()
    }

    #[test]
    fn each_input_is_worked_on_once() {
        for count in [0, 1, 2, 100] {
            let seen = Mutex::new(Vec::new());
            each(&inputs(count), |number, _| seen.lock().expect("not poisoned").push(number));
            let mut seen = seen.into_inner().expect("not poisoned");
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn messages_arrive_in_the_order_of_the_inputs() {
        // More messages than fit into the queue, and inputs without any.
        let messages = |name: &str| match name.parse::<usize>().expect("a number") {
            number if number.is_multiple_of(3) => 2 * BATCH * QUEUE + 1,
            number => number % 5,
        };
        let inputs = inputs(20);
        let mut received = Vec::new();
        in_order(
            &inputs,
            |input, sender| {
                let name = input.to_string();
                (0..messages(&name)).try_for_each(|message| sender.send((name.clone(), message)))
            },
            |input, message| {
                assert_eq!(input.to_string(), message.0);
                received.push(message);
                Ok(())
            },
        )
        .expect("received");
        let names = (0..20).map(|number| number.to_string());
        let expected: Vec<_> =
            names.flat_map(|name| (0..messages(&name)).map(move |message| (name.clone(), message))).collect();
        assert_eq!(received, expected);
    }

    #[test]
    fn an_error_of_the_receiver_ends_the_work() {
        let inputs = inputs(1_000);
        let begun = AtomicUsize::new(0);
        let result = in_order(
            &inputs,
            |_, sender| {
                begun.fetch_add(1, Ordering::Relaxed);
                (0..100_000).try_for_each(|message| sender.send(message))
            },
            |_, message| if message == 70 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) },
        );
        let Err(InOrderError::Receiver(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let workers = thread::available_parallelism().expect("known").get();
        assert!(begun.into_inner() <= 2 * workers + 1);
    }
}
