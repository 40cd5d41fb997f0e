//! The local AWS: ministack through `local_aws.py`, on this machine only.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::interrupt;
use crate::process::Running;
use crate::python::Venv;
use crate::workspace::Workspace;

/// How long it may take until it answers. It takes two seconds, on a busy machine more.
const START: Duration = Duration::from_secs(90);

/// Where a local AWS answers. Its root key and secret are `test` and `test`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Endpoint {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
}

/// A local AWS that runs; dropping it ends it and the functions that it started.
pub(crate) struct LocalAws {
    /// Where it answers.
    pub(crate) endpoint: Endpoint,
    /// What it and the functions' runtime print.
    pub(crate) log: PathBuf,
    running: Running,
}

impl Endpoint {
    /// What AWS clients call instead of AWS.
    pub(crate) fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables that make an AWS client use it.
    pub(crate) fn variables(self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// Makes a program use it, and nothing that the developer has set up for the real AWS.
    pub(crate) fn set(self, command: &mut Command) {
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") && name != "AWS_LC_SYS_NO_JITTER_ENTROPY"
            {
                command.env_remove(name);
            }
        }
        command.envs(self.variables());
        command.env("AWS_DEFAULT_REGION", "us-east-1"); // the name that boto3 reads
        command
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        // A proxy cannot reach this machine's own address.
        command
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost");
    }

    /// Whether it answers.
    fn is_healthy(self) -> bool {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(2)))
            .proxy(None)
            .build()
            .new_agent();
        agent
            .get(format!("{}/_ministack/health", self.url()))
            .call()
            .is_ok()
    }
}

impl LocalAws {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not answer in time.
    pub(crate) fn start(
        workspace: &Workspace,
        ministack: &Venv,
        port: u16,
        log: &Path,
    ) -> Result<Self> {
        check_free(port, "--port")?;
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(ministack.program("python"));
        command
            .arg(workspace.root.join("xtask/local_aws.py"))
            .env("GATEWAY_PORT", port.to_string())
            .stdout(output.try_clone()?)
            .stderr(output);
        let running = Running::start_unguarded(&mut command)?;
        let log = log.to_owned();
        let mut aws = Self {
            endpoint: Endpoint { port },
            log,
            running,
        };
        let deadline = Instant::now() + START;
        while !aws.endpoint.is_healthy() {
            interrupt::check()?;
            aws.check()?;
            if Instant::now() > deadline {
                let what = format!(
                    "the local AWS did not answer on {} in time",
                    aws.endpoint.url()
                );
                return Err(Failure::new(what).log(&aws.log).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(aws)
    }

    /// # Errors
    ///
    /// When it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.running.ended()? {
            None => Ok(()),
            Some(status) => {
                let failure = Failure::new(format!("the local AWS ended by itself ({status})"));
                Err(failure.log(&self.log).into())
            }
        }
    }
}

/// # Errors
///
/// When something listens on a port already; names the option with which another can be chosen.
pub(crate) fn check_free(port: u16, option: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = Failure::new(format!("port {port} of this machine is taken ({error})"));
            let advice = format!("end what uses it, or choose another with {option}");
            Err(failure.advice(advice).into())
        }
    }
}

/// A port that is free now.
///
/// # Errors
///
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_with_advice() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = check_free(taken.local_addr().unwrap().port(), "--demo-port").unwrap_err();
        assert!(error.to_string().contains("--demo-port"), "{error}");
        check_free(free_port().unwrap(), "--port").unwrap();
    }
}
