//! Where the broker's streams and durables differ from what is described, and what to do about each
//! difference.

use std::fmt;

use anyhow::Context as _;
use async_nats::jetstream::{
    consumer::IntoConsumerConfig as _, context::ConsumerInfoErrorKind, stream,
};
use proto::streams::{ALL, Stream};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    connection::Bus,
    durable::{self, ConsumerSettings, Durable},
    streams,
};

/// Copies of a stream that a cluster needs to lose a server without losing a message.
const COPIES_IN_A_CLUSTER: usize = 3;

/// What operators may set as they like, and what the server adds.
const FREE_OF_STREAMS: [&str; 4] = ["metadata", "description", "placement", "num_replicas"];
/// The same of durables; AckWait is a setting of its service.
const FREE_OF_DURABLES: [&str; 6] = [
    "metadata",
    "description",
    "name",
    "num_replicas",
    "max_waiting",
    "ack_wait",
];
/// What no update changes: the server refuses it.
const FIXED: [&str; 5] = [
    "sealed",
    "storage",
    "retention",
    "deny_delete",
    "deny_purge",
];

/// One difference between the broker and a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// As `proto::streams` calls it.
    pub stream: &'static str,
    /// What differs, as a sentence.
    pub what: String,
    /// What to do about it, as sentences.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}: {}", self.stream, self.what)
    }
}

/// Every difference between the server's streams and their descriptions, and between these durables
/// and theirs.
///
/// # Errors
/// When the broker does not answer.
pub async fn drift(bus: &Bus, durables: &[Durable]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for stream in &ALL {
        let Some(found) = streams::found(bus, stream).await? else {
            findings.push(Finding {
                stream: stream.name,
                what: "is missing".to_owned(),
                advice: "`usher nats provision` makes it.".to_owned(),
            });
            continue;
        };
        findings.extend(of_stream(stream, found.cached_info()));
        for durable in durables.iter().filter(|durable| durable.stream == *stream) {
            findings.extend(of_durable(durable, &found).await?);
        }
    }
    Ok(findings)
}

fn of_stream(described: &Stream, info: &stream::Info) -> Vec<Finding> {
    let name = described.name;
    let copies = info.config.num_replicas;
    let mut findings = Vec::new();
    let wanted = streams::config(described, copies);
    for (field, what) in differences(&wanted, &info.config, &FREE_OF_STREAMS) {
        let advice = match FIXED.contains(&&*field) {
            false => "`usher nats provision` corrects it.".to_owned(),
            true => format!(
                "The server changes this of no stream that exists. Once its durables have read all of it: \
                 `nats stream rm {name}`, then `usher nats provision`."
            ),
        };
        findings.push(Finding {
            stream: name,
            what,
            advice,
        });
    }
    let cluster = info.cluster.as_ref().and_then(|it| it.name.as_deref());
    if cluster.is_some_and(|name| !name.is_empty()) && copies < COPIES_IN_A_CLUSTER {
        findings.push(Finding {
            stream: name,
            what: format!("num_replicas is {copies}, should be {COPIES_IN_A_CLUSTER} in a cluster"),
            advice: format!(
                "`usher nats provision --replicas {COPIES_IN_A_CLUSTER}` makes the copies."
            ),
        });
    }
    findings
}

async fn of_durable(described: &Durable, stream: &stream::Stream) -> anyhow::Result<Vec<Finding>> {
    let name = &described.name;
    let finding = |what: String, advice: String| Finding {
        stream: described.stream.name,
        what,
        advice,
    };
    let info = match stream.consumer_info(name).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            let advice = format!("{name} makes it when it runs: start it, or look into its log.");
            return Ok(vec![finding(format!("durable {name} is missing"), advice)]);
        }
        Err(error) => return Err(error).context("The broker does not answer."),
    };
    let wanted = durable::config(described, &ConsumerSettings::default(), String::new());
    let mut findings = Vec::new();
    for (_, what) in differences(
        &wanted.into_consumer_config(),
        &info.config,
        &FREE_OF_DURABLES,
    ) {
        let advice = format!("{name} corrects it when it is started again.");
        findings.push(finding(format!("durable {name}: {what}"), advice));
    }
    Ok(findings)
}

/// Field by field, as they are on the wire, so that none is forgotten: the field, and the
/// difference as a sentence.
fn differences<C: Serialize>(wanted: &C, found: &C, free: &[&str]) -> Vec<(String, String)> {
    let (wanted, found) = (fields(wanted), fields(found));
    let mut names: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !free.contains(&name.as_str()));
    let mut all = Vec::new();
    for name in names {
        let (wanted, found) = (shown(name, wanted.get(name)), shown(name, found.get(name)));
        if wanted != found {
            let what = format!("{name} is {found}, should be {wanted}");
            all.push((name.clone(), what));
        }
    }
    all
}

fn fields(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// What is not said, and what says nothing, is the same.
fn shown(name: &str, value: Option<&Value>) -> String {
    const NANOSECONDS: [&str; 2] = ["max_age", "duplicate_window"];
    match value.unwrap_or(&Value::Null) {
        Value::Null | Value::Bool(false) => "unset".to_owned(),
        Value::Number(number) if [Some(0), Some(-1)].contains(&number.as_i64()) => {
            "unset".to_owned()
        }
        Value::String(text) if text.is_empty() || text == "none" => "unset".to_owned(),
        Value::Array(list) if list.is_empty() => "unset".to_owned(),
        Value::Number(number) if NANOSECONDS.contains(&name) => {
            format!("{} s", number.as_u64().unwrap_or_default() / 1_000_000_000)
        }
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let each = list
                .iter()
                .map(|it| it.as_str().map_or(it.to_string(), ToOwned::to_owned));
            each.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
