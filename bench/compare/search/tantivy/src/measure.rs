//! Clocks and passes. Each query is timed by the wall and by the thread's time on a core, after one pass to warm up.

use crate::ask::{Asker, Mode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec`, which `time` is.
    let failed = unsafe { libc::clock_gettime(which, &raw mut time) };
    assert_eq!(failed, 0, "the clock {which} is there");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub fn cpu_of_thread() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

pub fn cpu_of_process() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// A figure of `/proc/self/status`, such as `VmRSS:`.
pub fn status_mb(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a known figure");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1_024.0
}

/// Times of a case.
#[derive(Default)]
pub struct Figures {
    pub wall: Vec<Duration>,
    pub cpu: Vec<Duration>,
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn at(times: &[Duration], quantile: f64) -> Option<f64> {
    let last = times.len().checked_sub(1)?;
    Some(us(times[(last as f64 * quantile).round() as usize]))
}

impl Figures {
    /// `cpu_us` where it is not the sum of single times.
    pub fn line(mut self, name: &str, cpu_us: Option<f64>, documents: u64) -> Value {
        let ops = self.wall.len();
        let mean = us(self.cpu.iter().sum()) / ops.max(1) as f64;
        self.wall.sort_unstable();
        self.cpu.sort_unstable();
        json!({
            "case": name, "ops": ops, "documents": documents, "cpu_us_per_op": cpu_us.unwrap_or(mean), "p50_us": at(&self.wall, 0.5), "p99_us": at(&self.wall, 0.99),
            "cpu_p50_us": at(&self.cpu, 0.5), "cpu_p99_us": at(&self.cpu, 0.99), "rss_mb": status_mb("VmRSS:"),
        })
    }
}

/// What is in the field after every key pressed, from two letters on.
pub fn keystrokes(queries: &[String]) -> Vec<String> {
    let typed = |query: &String| {
        let letters: Vec<char> = query.chars().collect();
        let ends = (2..=letters.len()).filter(|end| letters[end - 1] != ' ');
        ends.map(|end| letters[..end].iter().collect::<String>()).collect::<Vec<_>>()
    };
    queries.iter().flat_map(typed).collect()
}

pub fn passes(asker: &Asker, name: &str, queries: &[String], passes: usize) -> Value {
    let mode = Mode::named(name);
    let category = |text: &String| if mode == Mode::Filter { asker.category(text) } else { None };
    let asked: Vec<(&String, Option<String>)> = queries.iter().map(|text| (text, category(text))).collect();
    let empty = asked.iter().filter(|(text, category)| asker.ask(mode, text, category.as_deref()) == 0).count();
    let (mut figures, mut best) = (Figures::default(), vec![Duration::MAX; asked.len()]);
    for _ in 0..passes {
        for ((text, category), best) in asked.iter().zip(&mut best) {
            let (begun, before) = (Instant::now(), cpu_of_thread());
            asker.ask(mode, text, category.as_deref());
            let cpu = cpu_of_thread() - before;
            figures.wall.push(begun.elapsed());
            figures.cpu.push(cpu);
            *best = cpu.min(*best);
        }
    }
    let mut line = figures.line(name, None, asker.documents());
    line["queries"] = queries.len().into();
    line["empty"] = empty.into();
    line["best_us"] = (us(best.iter().sum()) / best.len().max(1) as f64).into();
    line
}
