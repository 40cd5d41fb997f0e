//! `cargo xtask invoke`: a function with AWS's own runtime interface emulator, which `sam local invoke`
//! runs in its container. It comes with sam-cli.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::interrupt;
use crate::local_aws::{Endpoint, free_port};
use crate::process::{Running, lines};
use crate::python::{Tools, Venv};
use crate::running;
use crate::sam::architecture;
use crate::step::Steps;
use crate::workspace::Workspace;

/// How long the emulator may take to listen.
const START: Duration = Duration::from_secs(10);

/// Longer than any function's timeout in the template.
const ANSWER: Duration = Duration::from_secs(40);

/// The emulator's one address.
const PATH: &str = "/2015-03-31/functions/function/invocations";

/// Arguments of `invoke`.
#[derive(Args)]
pub(crate) struct Invoke {
    /// Folder of the function under functions/, or its logical id in template.yaml
    function: String,
    /// The event: a file, or the name of one in events/
    event: PathBuf,
    /// Variables of the functions, as `sam local invoke --env-vars` reads them
    #[arg(long = "env", value_name = "FILE", default_value = "events/env.json")]
    variables: PathBuf,
}

/// A function by its two names.
#[derive(Debug, PartialEq)]
struct Function {
    folder: String,
    logical_id: String,
}

impl Invoke {
    /// Prints the function's answer to standard output, its log lines to standard error.
    ///
    /// # Errors
    ///
    /// When the function cannot be started or fails.
    pub(crate) fn apply(self) -> Result<()> {
        let workspace = Workspace::find()?;
        let template = fs::read_to_string(workspace.root.join("template.yaml"))?;
        let function = find(&functions(&template), &self.function)?;
        let event = read_event(&workspace, &self.event)?;
        let mut variables = self.read_variables(&workspace, &function)?;
        let steps = Steps::new(workspace.local("invoke"))?;
        let venv = workspace.tools_ready(&steps, Tools::Sam)?;
        steps.run(&format!("compiling {}", function.folder), |step| {
            workspace.build_functions(step, &venv, std::slice::from_ref(&function.folder))
        })?;
        use_running_stack(&workspace, &steps, &mut variables)?;
        let bootstrap = workspace.bootstrap(&function.folder);
        let answer = invoke(&venv, &bootstrap, &variables, &event)?;
        println!("{}", pretty(&answer));
        match error_of(&answer) {
            Some(error) => Err(Failure::new(format!("the function failed: {error}")).into()),
            None => Ok(()),
        }
    }

    fn read_variables(&self, workspace: &Workspace, function: &Function) -> Result<Variables> {
        let here = &self.variables;
        let file = if here.exists() {
            here.clone()
        } else {
            workspace.root.join(here)
        };
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let json = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        Ok(variables_of(&json, function))
    }
}

type Variables = BTreeMap<String, String>;

/// The functions of the template: each has a line `CodeUri: functions/FOLDER` below its logical id.
fn functions(template: &str) -> Vec<Function> {
    let mut logical_id = "";
    let mut functions = Vec::new();
    for line in template.lines() {
        let text = line.trim_start();
        if line.len() - text.len() == 2 && !text.starts_with('#') {
            logical_id = text.split(':').next().unwrap_or_default();
        }
        if let Some(folder) = text.strip_prefix("CodeUri: functions/") {
            let folder = folder.trim().trim_end_matches('/').to_owned();
            functions.push(Function {
                folder,
                logical_id: logical_id.to_owned(),
            });
        }
    }
    functions
}

fn find(functions: &[Function], name: &str) -> Result<Function> {
    let named = |function: &&Function| function.folder == name || function.logical_id == name;
    let Some(Function { folder, logical_id }) = functions.iter().find(named) else {
        let all: Vec<&str> = functions
            .iter()
            .map(|function| function.folder.as_str())
            .collect();
        bail!("there is no function {name}; there are {}", all.join(", "));
    };
    Ok(Function {
        folder: folder.clone(),
        logical_id: logical_id.clone(),
    })
}

fn read_event(workspace: &Workspace, event: &Path) -> Result<String> {
    let named = workspace.root.join("events").join(event);
    let candidates = [
        event.to_owned(),
        named.clone(),
        named.with_added_extension("json"),
    ];
    let Some(file) = candidates.iter().find(|file| file.is_file()) else {
        bail!(
            "there is no event {} here, and none of that name in events/",
            event.display()
        );
    };
    let text = fs::read_to_string(file)?;
    serde_json::from_str::<Value>(&text)
        .with_context(|| format!("{} is no JSON", file.display()))?;
    Ok(text)
}

/// `Parameters` are for all functions; what stands under a function's own name comes on top.
fn variables_of(json: &Value, function: &Function) -> Variables {
    let parts = ["Parameters", &function.folder, &function.logical_id];
    let parts = parts.iter().filter_map(|part| json[*part].as_object());
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    parts
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// The stack that `cargo xtask up` runs may be on another port than the file says. Where none runs, the
/// function is invoked all the same: what it decides before it calls AWS needs none.
fn use_running_stack(
    workspace: &Workspace,
    steps: &Steps,
    variables: &mut Variables,
) -> Result<()> {
    let Some(named) = variables.get("AWS_ENDPOINT_URL").cloned() else {
        return Ok(());
    };
    match running::other(workspace)? {
        Some(other) if other.ready => {
            let url = other.endpoint.url();
            for value in variables.values_mut() {
                *value = value.replace(&named, &url);
            }
        }
        _ => steps.say(
            "No `cargo xtask up` runs: a function that calls DynamoDB, SQS or @connections will fail at that.",
        ),
    }
    Ok(())
}

/// Starts the emulator with the function, posts the event, and returns the answer.
fn invoke(venv: &Venv, bootstrap: &Path, variables: &Variables, event: &str) -> Result<String> {
    let emulator = format!("samcli/local/rapid/aws-lambda-rie-{}", architecture());
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut command = Command::new(venv.package_file(&emulator)?);
    // Its default is every address of the machine, and always the same port.
    command
        .arg("--runtime-interface-emulator-address")
        .arg(&address);
    command
        .arg("--runtime-api-address")
        .arg(format!("127.0.0.1:{}", free_port()?));
    command.args(["--log-level", "error"]).arg(bootstrap);
    set_environment(&mut command, variables);
    let mut emulator = Running::start(&command, Stdio::piped(), Stdio::inherit())?;
    let stdout = emulator.stdout().context("no standard output")?;
    let log = lines([Box::new(stdout)]);
    let show_log = thread::spawn(move || {
        for line in log {
            eprintln!("{line}");
        }
    });
    let answer = post(&address, event, &mut emulator);
    drop(emulator);
    let _ = show_log.join();
    answer
}

/// What Lambda sets, and nothing of the developer's own: a function must not reach the real AWS.
fn set_environment(command: &mut Command, variables: &Variables) {
    for (name, _) in env::vars_os() {
        command.env_remove(name);
    }
    for name in ["PATH", "HOME", "LANG", "TZ"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .envs(Endpoint { port: 0 }.variables())
        .env_remove("AWS_ENDPOINT_URL");
    command.envs(variables);
}

fn post(address: &str, event: &str, emulator: &mut Running) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into();
    let deadline = Instant::now() + START;
    loop {
        interrupt::check()?;
        match agent.post(format!("http://{address}{PATH}")).send(event) {
            Ok(mut answer) => return Ok(answer.body_mut().read_to_string()?),
            // Not listening yet.
            Err(ureq::Error::Io(_) | ureq::Error::ConnectionFailed)
                if Instant::now() < deadline => {}
            Err(error) => return Err(error).context("the emulator does not answer"),
        }
        if let Some(status) = emulator.ended()? {
            bail!("the emulator ended ({status})");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn pretty(answer: &str) -> String {
    serde_json::from_str::<Value>(answer)
        .and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or_else(|_| answer.to_owned())
}

/// The error that Lambda would report, which is an answer of this shape.
fn error_of(answer: &str) -> Option<String> {
    let json: Value = serde_json::from_str(answer).ok()?;
    json.get("errorType")?;
    Some(
        json["errorMessage"]
            .as_str()
            .unwrap_or("without a message")
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "\
Resources:
  SendMessageToSqsFunction:
    Type: AWS::Serverless::Function
    Properties:
      # Comments and keys between
      CodeUri: functions/send-message-to-sqs/
  ConnectFunction:
    Properties:
      CodeUri: functions/connect
";

    #[test]
    fn a_function_has_two_names() {
        let functions = functions(TEMPLATE);
        let sqs = find(&functions, "send-message-to-sqs").unwrap();
        assert_eq!(sqs.logical_id, "SendMessageToSqsFunction");
        assert_eq!(
            find(&functions, "ConnectFunction").unwrap().folder,
            "connect"
        );
        let error = find(&functions, "conect").unwrap_err().to_string();
        assert!(
            error.ends_with("there are send-message-to-sqs, connect"),
            "{error}"
        );
    }

    #[test]
    fn a_functions_own_variables_win() {
        let json = json!({
            "Parameters": {"LOG_LEVEL": "info", "METRICS_STACK": "s"},
            "ConnectFunction": {"LOG_LEVEL": "debug", "FANOUT_CONCURRENCY": 64},
            "DefaultFunction": {"LOG_LEVEL": "error"},
        });
        let connect = Function {
            folder: "connect".to_owned(),
            logical_id: "ConnectFunction".to_owned(),
        };
        let expected = [
            ("FANOUT_CONCURRENCY", "64"),
            ("LOG_LEVEL", "debug"),
            ("METRICS_STACK", "s"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables_of(&json, &connect), BTreeMap::from(expected));
    }

    #[test]
    fn an_error_is_told_from_an_answer() {
        let error = r#"{"errorType": "Unauthorized", "errorMessage": "Unauthorized"}"#;
        assert_eq!(error_of(error).as_deref(), Some("Unauthorized"));
        assert_eq!(error_of(r#"{"statusCode": 200}"#), None);
        assert_eq!(error_of(""), None);
    }
}
