//! The real program from outside: started as a process, or as several that are a cluster (`several`), spoken to over HTTPS, killed, started again.
//!
//! Read first: `process` (starts and ends it), `api` (speaks HTTP/1.1, 2 and 3), `guest` (a buyer). Every test has a data folder and a free
//! port of its own, so they run side by side; in `power` the folder is on a disk of ours (`faulty`) that loses, tears and fails. In `partitions` a
//! cluster's nodes are reached over a network of ours (`proxy`), which does the same. What was really charged is read from the sandbox provider's own books.

mod api;
mod bad_starts;
mod buying;
mod cluster;
mod crashes;
mod faulty;
mod feed;
mod flash_sale;
mod forbidden;
mod full;
mod guest;
mod history;
mod importing;
mod looking;
mod partitions;
mod parts;
mod power;
mod process;
mod protocols;
mod proxy;
mod sell_out;
mod several;
mod upgrade;
mod warehouse;
