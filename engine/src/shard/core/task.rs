//! Flows as futures without a runtime: what they wait for are values that the core sets.
//!
//! Path: [`Tasks::spawn`] → polled once → waits on a [`Signal`] → the core calls [`Setter::set`] → the task is ready → [`Tasks::run`] polls it
//! again. One thread, no waker, no clock: the order of polls is the order of sets, so a simulation repeats exactly.
//! Bounds: the core admits calls (`CALLS_MAX`); tasks of its own are as many as open effects.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// A flow.
pub(crate) type Flow = Pin<Box<dyn Future<Output = ()>>>;

/// Names a task; a later task may take the place but not the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TaskId {
    place: u32,
    life: u32,
}

/// Which tasks can go on, and which one runs. Shared by the tasks' signals.
#[derive(Debug, Default)]
pub(crate) struct Reactor {
    current: Cell<TaskId>,
    ready: RefCell<VecDeque<TaskId>>,
}

/// The tasks of a shard.
#[derive(Default)]
pub(crate) struct Tasks {
    reactor: Rc<Reactor>,
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    life: u32,
    flow: Option<Flow>,
}

impl Tasks {
    /// What makes signals for these tasks.
    pub(crate) fn reactor(&self) -> Rc<Reactor> {
        Rc::clone(&self.reactor)
    }

    /// Tasks alive.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes a flow; it is polled at the next [`Tasks::run`].
    pub(crate) fn spawn(&mut self, flow: Flow) -> TaskId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { life: 0, flow: None });
            u32::try_from(self.places.len() - 1).expect("tasks are bounded far below 2^32")
        });
        let slot = &mut self.places[place as usize];
        slot.flow = Some(flow);
        let id = TaskId { place, life: slot.life };
        self.reactor.ready.borrow_mut().push_back(id);
        id
    }

    /// Drops a task where it waits. What it proposed is carried out.
    pub(crate) fn cancel(&mut self, id: TaskId) {
        if self.places.get(id.place as usize).is_some_and(|place| place.life == id.life && place.flow.is_some()) {
            self.end(id);
        }
    }

    /// Polls every task that can go on, and those they make ready, until all wait. True if any was polled.
    pub(crate) fn run(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.next_ready() {
            let place = &mut self.places[id.place as usize];
            if place.life != id.life {
                continue;
            }
            let Some(mut flow) = place.flow.take() else { continue };
            any = true;
            self.reactor.current.set(id);
            match flow.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => self.end(id),
                Poll::Pending => self.places[id.place as usize].flow = Some(flow),
            }
        }
        any
    }

    fn next_ready(&self) -> Option<TaskId> {
        self.reactor.ready.borrow_mut().pop_front()
    }

    fn end(&mut self, id: TaskId) {
        let place = &mut self.places[id.place as usize];
        place.life = place.life.wrapping_add(1);
        place.flow = None;
        self.free.push(id.place);
    }
}

struct Cell1<T> {
    value: Option<T>,
    waiting: Option<TaskId>,
    setter_gone: bool,
}

/// The one that knows the value.
pub(crate) struct Setter<T> {
    cell: Rc<RefCell<Cell1<T>>>,
    reactor: Rc<Reactor>,
}

/// The one that waits for it. Resolves to `None` when the setter was dropped without a value.
pub(crate) struct Signal<T> {
    cell: Rc<RefCell<Cell1<T>>>,
    reactor: Rc<Reactor>,
}

/// A value to come, from the core to one task.
pub(crate) fn signal<T>(reactor: &Rc<Reactor>) -> (Setter<T>, Signal<T>) {
    let cell = Rc::new(RefCell::new(Cell1 { value: None, waiting: None, setter_gone: false }));
    (Setter { cell: Rc::clone(&cell), reactor: Rc::clone(reactor) }, Signal { cell, reactor: Rc::clone(reactor) })
}

impl<T> Setter<T> {
    /// Gives the value; the task that waits becomes ready. Does nothing when the task is gone.
    pub(crate) fn set(self, value: T) {
        self.cell.borrow_mut().value = Some(value);
        // `drop` wakes.
    }
}

impl<T> Drop for Setter<T> {
    fn drop(&mut self) {
        let mut cell = self.cell.borrow_mut();
        cell.setter_gone = true;
        if let Some(task) = cell.waiting.take() {
            self.reactor.ready.borrow_mut().push_back(task);
        }
    }
}

impl<T> Future for Signal<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        let mut cell = self.cell.borrow_mut();
        if let Some(value) = cell.value.take() {
            return Poll::Ready(Some(value));
        }
        if cell.setter_gone {
            return Poll::Ready(None);
        }
        cell.waiting = Some(self.reactor.current.get());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_goes_on_when_its_signal_is_set() {
        let mut tasks = Tasks::default();
        let reactor = tasks.reactor();
        let (first, wait_first) = signal::<u32>(&reactor);
        let (second, wait_second) = signal::<u32>(&reactor);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        tasks.spawn(Box::pin(async move {
            let first = wait_first.await;
            log.borrow_mut().push(first);
            let second = wait_second.await;
            log.borrow_mut().push(second);
        }));
        assert!(tasks.run());
        assert!(!tasks.run(), "nothing to do while it waits");
        first.set(1);
        assert!(tasks.run());
        assert_eq!(tasks.len(), 1);
        drop(second);
        tasks.run();
        assert_eq!((&*seen.borrow(), tasks.len()), (&vec![Some(1), None], 0));
    }

    #[test]
    fn a_cancelled_task_is_not_polled_again_nor_is_its_successor_by_mistake() {
        let mut tasks = Tasks::default();
        let (setter, wait) = signal::<()>(&tasks.reactor());
        let id = tasks.spawn(Box::pin(async move {
            wait.await;
        }));
        tasks.run();
        tasks.cancel(id);
        let polls = Rc::new(Cell::new(0));
        let count = Rc::clone(&polls);
        tasks.spawn(Box::pin(async move { count.set(count.get() + 1) }));
        setter.set(());
        tasks.run();
        assert_eq!((polls.get(), tasks.len()), (1, 0));
        tasks.cancel(id);
        assert_eq!(tasks.len(), 0, "cancelling twice frees once");
    }
}
