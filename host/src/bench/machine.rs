//! What the numbers were measured on: processor, kernel, CPU time and memory of this process and of the runners that it started.
//!
//! Not a monitor. What must hold: a fact that the machine does not tell is null, never invented.

use serde_json::{Value, json};
use std::time::Duration;

/// Clock ticks a second in `/proc/self/stat`: 100 on every Linux that Sexton runs on (`USER_HZ`).
const TICKS: u64 = 100;

/// Facts for every line.
#[must_use]
pub fn facts() -> Value {
    let cpus = std::thread::available_parallelism().map(std::num::NonZero::get).ok();
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    json!({"cpus": cpus, "cpu": model, "kernel": kernel, "version": env!("CARGO_PKG_VERSION"), "profile": profile})
}

/// The same for people.
#[must_use]
pub fn sentence(facts: &Value) -> String {
    let of = |name: &str| facts[name].as_str().unwrap_or("unknown").to_owned();
    format!("Sexton {} ({}) on {} x {}, Linux {}", of("version"), of("profile"), facts["cpus"], of("cpu"), of("kernel"))
}

/// The fields of `/proc/<pid>/stat` after the command, for this process and for its children: the runners.
fn family() -> Vec<(String, Vec<String>)> {
    let me = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let fields = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command stands in parentheses and may hold anything; fields count from 3 after it.
        let (_, after) = stat.rsplit_once(')')?;
        Some(after.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let all = pids.filter_map(|pid| fields(&pid).map(|fields| (pid, fields)));
    all.filter(|(pid, fields)| *pid == me || fields.get(1).is_some_and(|parent| *parent == me)).collect()
}

/// User and system time so far, of this process and its children, and of what these have waited for.
#[must_use]
pub fn cpu_time() -> Duration {
    let of = |fields: &[String]| fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    let ticks: u64 = family().iter().map(|(_, fields)| of(fields)).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// Resident memory of this process and its children, in MiB.
#[must_use]
pub fn rss_mib() -> f64 {
    let of = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    family().iter().map(|(pid, _)| of(pid)).sum::<f64>() / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells() {
        assert!(facts()["cpus"].as_u64().is_some_and(|n| n > 0) && rss_mib() > 0.5);
        let before = cpu_time();
        let began = std::time::Instant::now();
        let mut sum = 0u64;
        while cpu_time() == before && began.elapsed() < Duration::from_secs(20) {
            sum = (0..100_000u64).fold(sum, u64::wrapping_add);
        }
        assert!(cpu_time() > before, "work takes time ({sum})");
    }
}
