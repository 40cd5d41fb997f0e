//! The share of a CPU that a Lambda function of some memory size has, held by a control group.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A function with this much memory, in MB, has one vCPU (Lambda, "Configure Lambda function memory").
pub(crate) const MB_OF_A_CPU: u32 = 1769;

/// In which the kernel counts, in microseconds. Short, so that a start is throttled as evenly as it can be.
const PERIOD_US: u32 = 20_000;

/// A control group, removed when dropped.
pub(crate) struct Quota {
    group: PathBuf,
}

impl Quota {
    /// The share of a function with `memory_mb`.
    ///
    /// # Errors
    ///
    /// Where this machine or this user may not make control groups.
    pub(crate) fn of(memory_mb: u32) -> Result<Self> {
        let quota_us = PERIOD_US * memory_mb / MB_OF_A_CPU;
        let name = format!("hermes-bench-{}-{memory_mb}", std::process::id());
        let version_2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let parent = Path::new(if version_2 {
            "/sys/fs/cgroup"
        } else {
            "/sys/fs/cgroup/cpu"
        });
        crate::sweep(parent);
        let group = parent.join(name);
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        let quota = Self { group };
        if version_2 {
            quota.write("cpu.max", &format!("{quota_us} {PERIOD_US}"))?;
        } else {
            quota.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
            quota.write("cpu.cfs_quota_us", &quota_us.to_string())?;
        }
        Ok(quota)
    }

    /// Holds a process, and what it starts, to it.
    pub(crate) fn hold(&self, pid: u32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.group.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The processes in it may need a moment to end.
        for _ in 0..100 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
