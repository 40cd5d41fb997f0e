//! Whether an alarm rings.

use serde_json::{Value, json};

use super::check::Check;
use crate::failure::Failure;
use crate::settings::Deployment;
use crate::signed::{Service, Signed};
use crate::table::count;

const CHECK: &str = "alarms";

pub(super) async fn check(signed: &Signed, stack: &Deployment) -> Vec<Check> {
    let names: Vec<_> = stack
        .of_kind("AWS::CloudWatch::Alarm")
        .map(|alarm| alarm.physical.as_str())
        .collect();
    if names.is_empty() {
        let hint = "deploy the stack again";
        return vec![Check::warn(CHECK, "the stack has no alarms", hint)];
    }
    let alarms = match read(signed, &names).await {
        Ok(alarms) => alarms,
        Err(failure) => return vec![Check::failed(CHECK, failure)],
    };
    let ringing: Vec<_> = alarms
        .iter()
        .filter(|alarm| alarm["StateValue"] == "ALARM")
        .map(|alarm| {
            let text = |field: &str| alarm[field].as_str().unwrap_or_default();
            let name = text("AlarmName");
            Check::warn(CHECK, format!("{name} rings"), text("AlarmDescription"))
        })
        .collect();
    if alarms.len() < names.len() {
        let says = format!("{} of {} alarms are there", alarms.len(), names.len());
        return vec![Check::warn(CHECK, says, "deploy the stack again")];
    }
    if ringing.is_empty() {
        let alarms = count(alarms.len(), "alarm");
        return vec![Check::ok(CHECK, format!("none of {alarms} rings"))];
    }
    ringing
}

async fn read(signed: &Signed, names: &[&str]) -> Result<Vec<Value>, Failure> {
    let question = json!({"AlarmNames": names, "AlarmTypes": ["MetricAlarm"]});
    let mut answer = signed
        .call(
            Service::CloudWatch,
            "DescribeAlarms",
            &question,
            "reading the alarms",
        )
        .await?;
    match answer["MetricAlarms"].take() {
        Value::Array(alarms) => Ok(alarms),
        _ => Ok(Vec::new()),
    }
}
