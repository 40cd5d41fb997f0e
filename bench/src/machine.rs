//! What it was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine and the programs, a line each.
pub(crate) fn describe(node: &Path) -> Vec<String> {
    let mut lines = vec![processor()];
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    lines.push(format!("Linux {}", kernel.trim()));
    let mut programs = vec![printed(Command::new("rustc").arg("--version"))];
    programs.push(
        printed(Command::new(node).arg("--version")).map(|version| format!("Node.js {version}")),
    );
    programs.push(printed(Command::new("valgrind").arg("--version")));
    lines.push(
        programs
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
    );
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    lines.push(format!(
        "load when it began: {load} (a machine that does something else measures that too)"
    ));
    lines
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = value("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let memory = memory.map_or(0, |kb| kb / 1024 / 1024);
    format!("{cores} × {model}, {memory} GB")
}

fn printed(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The day, as `YYYY-MM-DD`, UTC.
pub(crate) fn today() -> String {
    let now = hermes::time::Clock::now(&hermes::time::SystemClock).to_string();
    now.chars().take(10).collect()
}
