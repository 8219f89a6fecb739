//! `sim`: runs the simulator. See `engine/src/sim/mod.rs`.

fn main() -> std::process::ExitCode {
    engine::sim::main()
}
