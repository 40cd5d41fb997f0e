//! Whether the queues run empty, and whether anything died.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use hermes::time::{Clock as _, SystemClock};
use serde_json::json;

use super::check::Check;
use crate::failure::Failure;
use crate::settings::{Setting, Settings};
use crate::signed::{Service, Signed};
use crate::table::count;

const CHECK: &str = "queues";
const DEAD: &str = "dead letters";

/// Older is what was tried in vain or what nobody has time for: as the stack's alarms have it.
const OLD_MESSAGE_S: f64 = 200.0;
const OLD_JOB_S: f64 = 90.0;

/// How far back the age of the oldest message is looked for: its metric comes every minute.
const LOOK_BACK_S: u64 = 5 * 60;

pub(super) async fn check(settings: &Settings, signed: &Signed) -> Vec<Check> {
    let (messages, jobs) = (Setting::MessageQueueUrl, Setting::DeliveryQueueUrl);
    let (dead, dead_jobs) = (
        Setting::DeadLetterQueueUrl,
        Setting::DeliveryDeadLetterQueueUrl,
    );
    let checks = [
        waiting(settings, signed, messages, OLD_MESSAGE_S, "send-message").await,
        waiting(settings, signed, jobs, OLD_JOB_S, "deliver").await,
        died(settings, dead, "").await,
        died(settings, dead_jobs, " --queue deliveries").await,
    ];
    let names = [CHECK, CHECK, DEAD, DEAD];
    let checks = checks.into_iter().zip(names);
    checks
        .map(|(check, name)| check.unwrap_or_else(|failure| Check::failed(name, failure)))
        .collect()
}

async fn waiting(
    settings: &Settings,
    signed: &Signed,
    queue: Setting,
    old_s: f64,
    function: &str,
) -> Result<Check, Failure> {
    let queue = Queue::look(settings, queue).await?;
    let (name, waiting) = (&queue.name, queue.number(visible()));
    let under_way = queue.number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible);
    let depth = format!("{name}: {waiting} waiting, {under_way} under way");
    if !queue.has_redrive() {
        return Ok(Check::fail(
            CHECK,
            format!("{name} has no dead-letter queue: what fails comes back until it is too old"),
            "deploy the stack again",
        ));
    }
    let advice = format!("the log of {function} says why; or raise its concurrency");
    let age = oldest_s(signed, name).await?;
    Ok(match age {
        Some(age) if age > old_s => {
            Check::warn(CHECK, format!("{depth}; the oldest for {age:.0} s"), advice)
        }
        Some(age) => Check::ok(CHECK, format!("{depth}; the oldest for {age:.0} s")),
        None => Check::ok(CHECK, depth),
    })
}

async fn died(settings: &Settings, queue: Setting, option: &str) -> Result<Check, Failure> {
    let queue = Queue::look(settings, queue).await?;
    let name = &queue.name;
    Ok(match queue.number(visible()) {
        0 => Check::ok(DEAD, format!("{name} is empty")),
        letters => Check::warn(
            DEAD,
            format!(
                "{name} has about {}",
                count(usize::try_from(letters).unwrap_or(usize::MAX), "message")
            ),
            format!(
                "`hermes dlq list{option}` says why, `hermes dlq redrive{option}` sends them back"
            ),
        ),
    })
}

fn visible() -> QueueAttributeName {
    QueueAttributeName::ApproximateNumberOfMessages
}

/// A queue as SQS describes it.
struct Queue {
    name: String,
    attributes: HashMap<QueueAttributeName, String>,
}

impl Queue {
    async fn look(settings: &Settings, queue: Setting) -> Result<Self, Failure> {
        let url = settings.required(queue).await?;
        let answer = Client::new(settings.sdk().await?)
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(|error| {
                Failure::aws(
                    &format!("reading the attributes of {}", queue.output()),
                    &error,
                )
            })?;
        Ok(Self {
            name: url.rsplit('/').next().unwrap_or(&url).to_owned(),
            attributes: answer.attributes.unwrap_or_default(),
        })
    }

    fn number(&self, name: QueueAttributeName) -> u64 {
        let text = self.attributes.get(&name);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn has_redrive(&self) -> bool {
        self.attributes
            .contains_key(&QueueAttributeName::RedrivePolicy)
    }
}

/// For how long the oldest message waits, in seconds; none where CloudWatch has not heard of one lately.
async fn oldest_s(signed: &Signed, queue: &str) -> Result<Option<f64>, Failure> {
    let now = SystemClock.now().as_secs();
    let question = json!({
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
        "StartTime": now.saturating_sub(LOOK_BACK_S),
        "EndTime": now,
        "Period": 60,
        "Statistics": ["Maximum"],
    });
    let doing = format!("reading the age of {queue}");
    let answer = signed
        .call(
            Service::CloudWatch,
            "GetMetricStatistics",
            &question,
            &doing,
        )
        .await?;
    let points = answer["Datapoints"].as_array().into_iter().flatten();
    let newest = points.max_by(|one, other| {
        let at = |point: &serde_json::Value| point["Timestamp"].as_f64().unwrap_or_default();
        at(one).total_cmp(&at(other))
    });
    Ok(newest.and_then(|point| point["Maximum"].as_f64()))
}
