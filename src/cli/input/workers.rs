//! Works on inputs concurrently, with one worker for each core.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::files::Input;

/// The number of messages that are passed at a time.
const BATCH: usize = 64;
/// The number of batches of an input that may wait for those of the inputs before it.
const QUEUE: usize = 64;

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
pub(crate) struct Sender<M> {
    batches: SyncSender<Vec<M>>,
    batch: Vec<M>,
}

impl<M> Sender<M> {
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
        self.batches.send(batch).map_err(|_| io::ErrorKind::BrokenPipe.into())
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
    work: impl Fn(&Input, &mut Sender<M>) -> io::Result<()> + Sync,
    mut receive: impl FnMut(&Input, M) -> io::Result<()>,
) -> Result<(), InOrderError> {
    let workers = count(inputs.len());
    let next = AtomicUsize::new(0);
    let worker = |begun: &SyncSender<(usize, Receiver<Vec<M>>)>| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(number) else { return };
            let (batches, receiver) = sync_channel(QUEUE);
            // An error means that nobody receives what would be sent.
            if begun.send((number, receiver)).is_err() {
                return;
            }
            let mut sender = Sender { batches, batch: Vec::with_capacity(BATCH) };
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
        let mut waiting = HashMap::new();
        for (number, input) in inputs.iter().enumerate() {
            while !waiting.contains_key(&number)
                && let Ok((begun, receiver)) = announced.recv()
            {
                waiting.insert(begun, receiver);
            }
            let batches = waiting.remove(&number).into_iter().flatten();
            let mut messages = batches.flatten();
            messages.try_for_each(|message| receive(input, message)).map_err(InOrderError::Receiver)?;
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
