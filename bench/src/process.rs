//! What a process has used, as Linux tells it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// On a CPU so far, all threads that still live together (`/proc/PID/task/*/schedstat`, in nanoseconds).
    pub(crate) cpu: Duration,
    /// The most memory that it ever had resident (`VmHWM`), in bytes.
    pub(crate) peak_memory: u64,
}

/// What the process `pid` has used so far.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let mut cpu = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // A thread may end meanwhile.
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        cpu += first_number(&schedstat).context("the kernel keeps no schedstat")?;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(first_number)
        .context("the process has ended")?;
    Ok(Usage {
        cpu: Duration::from_nanos(cpu),
        peak_memory: peak * 1024,
    })
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]

    use super::*;

    #[test]
    fn our_own_usage_grows() {
        let before = usage(std::process::id()).unwrap();
        let sum: u64 = (0..20_000_000_u64).map(std::hint::black_box).sum();
        assert!(sum > 0);
        let after = usage(std::process::id()).unwrap();
        assert!(after.cpu > before.cpu);
        assert!(after.peak_memory > 100_000);
    }
}
