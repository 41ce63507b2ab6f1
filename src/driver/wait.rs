//! How a thread waits for what wakes tasks.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use kafka_engine::signal::Signal;

/// Blocks until `look` finds something or `timeout` is over; `look` is asked anew after every
/// notification of `signal`.
pub(crate) fn wait_for<T>(
    signal: &Arc<Signal>,
    timeout: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let found = look();
    if found.is_some() {
        return found;
    }
    let mut listener = signal.listener();
    block_on(timeout, |context| {
        listener.listen(context.waker());
        look().map_or(Poll::Pending, Poll::Ready)
    })
}

/// Blocks until `poll` is ready or `timeout` is over.
pub(crate) fn block_on<T>(
    timeout: Duration,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    // A timeout too long to be added up is none.
    let deadline = Instant::now().checked_add(timeout);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(found) = poll(&mut context) {
            return Some(found);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_notification_ends_the_wait() {
        let (signal, done) = (Arc::new(Signal::default()), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                done.store(true, Ordering::SeqCst);
                signal.notify();
            });
            let found = wait_for(&signal, Duration::MAX, || {
                done.load(Ordering::SeqCst).then_some("done")
            });
            assert_eq!(found, Some("done"));
        });
    }

    #[test]
    fn nothing_found_in_time_is_none() {
        let none = wait_for(&Arc::default(), Duration::from_millis(1), || None::<()>);
        assert_eq!(none, None);
    }
}
