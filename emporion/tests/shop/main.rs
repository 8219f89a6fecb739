//! The real program from outside: started as a process, spoken to over HTTPS, killed, started again.
//!
//! Read first: `process` (starts and ends it), `api` (speaks HTTP/1.1, 2 and 3), `guest` (a buyer). Every test has a data folder and a free
//! port of its own, so they run side by side. What was really charged is read from the sandbox provider's own books.

mod api;
mod bad_starts;
mod buying;
mod crashes;
mod flash_sale;
mod guest;
mod history;
mod importing;
mod looking;
mod process;
mod protocols;
mod sell_out;
mod warehouse;
