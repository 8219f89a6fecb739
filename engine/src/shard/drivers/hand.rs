//! Passing things between tasks of one thread.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

/// Hands things from one task of a thread to another. One taker.
pub(super) struct Hand<T> {
    things: RefCell<VecDeque<T>>,
    taker: Cell<Option<Waker>>,
}

impl<T> Hand<T> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { things: RefCell::new(VecDeque::new()), taker: Cell::new(None) })
    }

    pub(super) fn put(&self, thing: T) {
        self.things.borrow_mut().push_back(thing);
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.things.borrow().len()
    }

    pub(super) fn try_take(&self) -> Option<T> {
        self.things.borrow_mut().pop_front()
    }

    /// Waits until there is something, and leaves it there.
    pub(super) async fn filled(&self) {
        poll_fn(|context| {
            if self.things.borrow().is_empty() {
                self.taker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    pub(super) async fn take(&self) -> T {
        loop {
            self.filled().await;
            if let Some(thing) = self.try_take() {
                return thing;
            }
        }
    }
}
