//! Logs and metrics. A log line is one JSON object on standard output; so is a batch of metrics, in
//! CloudWatch's embedded metric format, which costs no call and no waiting.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{ConfigError, Environment};
use crate::time::{Clock, SystemClock, Timestamp};

/// The CloudWatch namespace of all metrics; their one dimension is `Stack`.
pub const NAMESPACE: &str = "Hermes";

static STACK: OnceLock<String> = OnceLock::new();

/// A metric, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Connections that joined a room (count).
    Connected,
    /// Connections that left (count).
    Disconnected,
    /// What was refused: handshakes, frames, queued messages (count).
    Rejected,
    /// Messages whose fan-out was done (count).
    Accepted,
    /// Notifications that API Gateway took (count).
    Delivered,
    /// Posts to connections that were closed (count).
    Gone,
    /// Posts that failed or could not be tried in time (count).
    Failed,
    /// From the message's `sent_at` to its last post (milliseconds).
    DeliveryLatency,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
            Self::Rejected => "Rejected",
            Self::Accepted => "Accepted",
            Self::Delivered => "Delivered",
            Self::Gone => "Gone",
            Self::Failed => "Failed",
            Self::DeliveryLatency => "DeliveryLatency",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::DeliveryLatency => "Milliseconds",
            _ => "Count",
        }
    }
}

/// The finest level that is ever logged. At `trace` the runtime logs whole events, with the token of a
/// handshake in them, and the SDK whole requests and answers, with the secrets in them.
const FINEST: LevelFilter = LevelFilter::DEBUG;

/// Starts the log at `LOG_LEVEL` (`info` where it is not set, `debug` where it is finer) and the metrics
/// of the stack `METRICS_STACK`. Called once, first of all.
///
/// # Errors
///
/// [`ConfigError`] where `LOG_LEVEL` is none of error, warn, info, debug, trace, off.
pub fn init(environment: &Environment) -> Result<(), ConfigError> {
    let level = environment
        .parsed("LOG_LEVEL")?
        .unwrap_or(LevelFilter::INFO);
    // A second start in one process (tests) keeps the first one's log.
    let _ = subscriber(level, std::io::stdout).try_init();
    if let Some(stack) = environment.optional("METRICS_STACK") {
        let _ = STACK.set(stack.to_owned());
    }
    Ok(())
}

fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(level.min(FINEST))
        .with(filter_fn(|event| !repeats_a_failure(event)))
        .with(json)
}

/// The runtime logs every error that a handler returns, as an error without a word about it. Ours are
/// in the log by then, and a refused handshake, which must be returned as one, is nothing to wake an
/// operator for. (What it logs of a panic has the field `error`.)
fn repeats_a_failure(event: &Metadata<'_>) -> bool {
    event.target() == "lambda_runtime::layers::panic" && event.fields().field("error").is_none()
}

/// Writes one line with these metrics, if [`init`] was told the stack's name.
pub fn emit(values: &[(Metric, u64)]) {
    if let Some(stack) = STACK.get() {
        println!("{}", embedded_metrics(stack, SystemClock.now(), values));
    }
}

/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
fn embedded_metrics(stack: &str, now: Timestamp, values: &[(Metric, u64)]) -> Value {
    let definitions: Vec<Value> = values
        .iter()
        .map(|(metric, _)| json!({"Name": metric.name(), "Unit": metric.unit()}))
        .collect();
    let mut line: Map<String, Value> = values
        .iter()
        .map(|(metric, value)| (metric.name().to_owned(), (*value).into()))
        .collect();
    line.insert("Stack".to_owned(), stack.into());
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Stack"]], "Metrics": definitions}],
        }),
    );
    Value::Object(line)
}

/// An error with all its causes in one line, for the log: the SDK's errors display only the first.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortError;
    use std::sync::{Arc, Mutex};

    #[test]
    fn metrics_are_in_the_embedded_metric_format() {
        let line = embedded_metrics(
            "dev",
            Timestamp::from_millis(7),
            &[(Metric::Delivered, 3), (Metric::DeliveryLatency, 12)],
        );
        insta::assert_snapshot!(line, @r#"{"Delivered":3,"DeliveryLatency":12,"Stack":"dev","_aws":{"CloudWatchMetrics":[{"Dimensions":[["Stack"]],"Metrics":[{"Name":"Delivered","Unit":"Count"},{"Name":"DeliveryLatency","Unit":"Milliseconds"}],"Namespace":"Hermes"}],"Timestamp":7}}"#);
    }

    #[test]
    fn an_error_is_logged_with_its_causes() {
        let error = PortError::new(
            "reading the room",
            std::io::Error::other("connection refused"),
        );
        assert_eq!(
            error_chain(&error),
            "reading the room failed: connection refused"
        );
    }

    #[test]
    fn a_log_line_is_json_and_what_the_runtime_repeats_is_left_out() {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(
            subscriber(LevelFilter::INFO, move || writer.clone()),
            || {
                tracing::error!(target: "lambda_runtime::layers::panic", "{:?}", "Unauthorized");
                tracing::error!(target: "lambda_runtime::layers::panic", error = "boom", "user handler panicked");
                tracing::debug!("too fine");
                tracing::info!(room_id = "red", "delivered");
            },
        );
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let messages: Vec<_> = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert_eq!(messages, ["user handler panicked", "delivered"]);
        assert_eq!(
            (&lines[1]["level"], &lines[1]["room_id"]),
            (&json!("INFO"), &json!("red"))
        );
    }

    #[test]
    fn nothing_is_logged_that_is_finer_than_debug() {
        let subscriber = subscriber(LevelFilter::TRACE, std::io::sink);
        tracing::subscriber::with_default(subscriber, || {
            assert!(tracing::enabled!(tracing::Level::DEBUG));
            assert!(!tracing::enabled!(tracing::Level::TRACE));
        });
    }

    #[test]
    fn a_log_level_that_is_none_is_named() {
        let error = init(&Environment::from([("LOG_LEVEL", "loud")])).unwrap_err();
        assert!(error.to_string().contains("LOG_LEVEL"));
    }
}
