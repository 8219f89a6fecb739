//! Keeps an executor from sleeping over work it has.
//!
//! glommio 0.9 parks when its task queues did not run, and takes "preempted before the first ran" for "nothing to run": if the preemption
//! timer has fired by the time it looks, it sleeps with runnable tasks, and only the next completion or timer wakes it (the fork of
//! glommio that is maintained has the same finding and a fix, pull request 53; it is not published). A busy machine made that happen every
//! second or two of full load: everything waited for the next deadline of a call.
//!
//! [`Watch`] runs beside the loop: each poll sets a timer that polls it again, and a second one behind it, since the park may come between the first
//! timer and the poll. So a park ends by itself. Bounds: [`PAUSE_MIN`] after work, doubling to [`PAUSE_MAX`] while there is none, which costs an idle core 50 wake-ups a second.

use glommio::timer::Timer;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::shard::drivers::turns::Activity;

/// Longest sleep over work after a turn that did something.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// Longest sleep over work after a quiet time.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// How much later than the first timer the second fires, beside as long again.
const GUARD: Duration = Duration::from_millis(1);

/// The shortest wait that is one: a timer of zero is ready when it is first looked at, so whoever waits for it goes on and nobody else runs.
const BREATH: Duration = Duration::from_micros(1);

/// Lets the executor's other tasks run, and what waits for the kernel be woken, then goes on.
///
/// Through a timer, because glommio looks at its rings only when no task is left to run or its preemption timer has fired.
pub(super) async fn breathe() {
    Timer::new(BREATH).await;
}

/// Never ends; to be polled beside the executor's main future.
pub(super) struct Watch {
    activity: Activity,
    seen: u64,
    pause: Duration,
    timer: Option<Timer>,
    /// Fires later, in case the executor parks over the very task that the first one woke.
    guard: Option<Timer>,
}

impl Watch {
    pub(super) fn new(activity: Activity) -> Self {
        Self { activity, seen: 0, pause: PAUSE_MIN, timer: None, guard: None }
    }
}

impl Future for Watch {
    type Output = std::convert::Infallible;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let count = self.activity.count();
        self.pause = if count == self.seen { (self.pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        self.seen = count;
        let (mut timer, mut guard) = (Timer::new(self.pause), Timer::new(self.pause * 2 + GUARD));
        // Pending: both were made with time to run.
        for timer in [&mut timer, &mut guard] {
            if Pin::new(timer).poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        (self.timer, self.guard) = (Some(timer), Some(guard));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;
    use std::{cell::Cell, rc::Rc};

    #[test] // A loop that breathes between its turns has others make progress, those among them that wait for the kernel.
    fn a_loop_that_breathes_lets_others_run() {
        LocalExecutor::default().run(async {
            let (turns, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
            let (counted, told) = (Rc::clone(&turns), Rc::clone(&seen));
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
            let ours = glommio::net::UdpSocket::bind("127.0.0.1:0").expect("another");
            let to = ours.local_addr().expect("it has one");
            let other = glommio::spawn_local(async move {
                let mut room = [0; 8];
                ours.recv_from(&mut room).await.expect("a datagram");
                told.set(Some(counted.get()));
            });
            breathe().await; // the other waits now
            socket.send_to(b"hello", to).expect("sent");
            while seen.get().is_none() && turns.get() < 100_000 {
                turns.set(turns.get() + 1);
                breathe().await;
            }
            assert!(seen.get().is_some(), "in {} turns nobody else ran", turns.get());
            other.await;
        });
    }
}
