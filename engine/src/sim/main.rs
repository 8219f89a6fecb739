//! `sim`: runs the simulator. See `engine/src/sim/mod.rs`.

/// A run makes and drops much: with the system's allocator a seed costs a tenth more.
#[cfg(feature = "sim-allocator")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    engine::sim::main()
}
