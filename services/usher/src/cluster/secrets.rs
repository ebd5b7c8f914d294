//! `usher cluster secrets`: makes the Secrets of a plan that are not there, completes those that lack
//! keys, and touches nothing that is there.

mod making;
mod plan;
mod reference;
mod values;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::kubernetes::ApiArguments;
use crate::{
    exit::Failure,
    output::{Format, table},
    terminal::WARN,
};
use making::{Making, Misfit, Outcome};
use plan::Plan;

/// Make the secrets of an installation, once
///
/// For a Job in the cluster: makes the Secrets that the plan names, through Kubernetes' API. A key
/// that is there is never changed and never shown; one that a Secret lacks is added. Several at once,
/// and as many runs as there may be, end with the same secrets.
///
/// Values are made as `usher up` makes them on one machine; those that are made of others (a URL with
/// a password in it, the public half of a key) always fit what is stored. Where one of the two was
/// changed by hand, that is reported, and left.
///
/// The service account needs get, create and patch on secrets in the namespace.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher cluster secrets --plan /etc/usher/plan.json
  usher cluster secrets --plan plan.json --namespace usher --wait 5m
  usher cluster secrets --plan plan.json --output json | jq '.secrets[].keys'

docs/cluster-secrets.md describes the plan.")]
pub(crate) struct SecretsArguments {
    /// JSON file: which Secrets there are to be, and what their keys are made of
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    api: ApiArguments,
}

/// What there is now.
#[derive(Debug, Serialize)]
struct Inventory {
    namespace: String,
    secrets: Vec<SecretReport>,
}

#[derive(Debug, Serialize)]
struct SecretReport {
    name: String,
    keys: BTreeMap<String, Outcome>,
}

/// In the order in which they are told.
const WORDS: [(Outcome, &str); 4] = [
    (Outcome::Made, "made"),
    (Outcome::Added, "added"),
    (Outcome::Left, "left as it was"),
    (Outcome::Differs, "left, does not fit"),
];

pub(super) async fn run(arguments: SecretsArguments, format: Format) -> Result<(), Failure> {
    let plan = Plan::read(&arguments.plan)?;
    let api = arguments.api.api()?;
    let step = format.progress().step("asking Kubernetes' API");
    let made = Making::begin(&plan, &api).await?.finish(&step).await?;
    drop(step);
    let mut secrets = Vec::new();
    for planned in &plan.secrets {
        let outcomes = planned.keys.keys().map(|key| {
            let outcome = made.outcome(&planned.name, key);
            (key.clone(), outcome)
        });
        secrets.push(SecretReport {
            name: planned.name.clone(),
            keys: outcomes.collect(),
        });
    }
    let inventory = Inventory {
        namespace: api.namespace().to_owned(),
        secrets,
    };
    let is_new = |outcome: &Outcome| matches!(outcome, Outcome::Made | Outcome::Added);
    let changed = inventory
        .secrets
        .iter()
        .filter(|secret| secret.keys.values().any(is_new));
    format.print_named(&inventory, changed.map(|secret| &*secret.name), spoken);
    for misfit in made.misfits() {
        format.warn(format!("{WARN}{}{WARN:#}", told(misfit, api.namespace())));
    }
    Ok(())
}

fn spoken(inventory: &Inventory) -> String {
    let mut rows = Vec::new();
    for SecretReport { name, keys } in &inventory.secrets {
        for (outcome, words) in WORDS {
            let keys = keys.iter().filter(|(_, one)| **one == outcome);
            let keys: Vec<&str> = keys.map(|(key, _)| key.as_str()).collect();
            if !keys.is_empty() {
                rows.push([name.clone(), words.to_owned(), keys.join(", ")]);
            }
        }
    }
    table(["SECRET", "STATE", "KEYS"], rows)
}

fn told(Misfit { key, sources }: &Misfit, namespace: &str) -> String {
    let (secret, name) = (key.secret(), key.key());
    let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let what = match sources.join(", ") {
        none if none.is_empty() => "what the plan says: it, or the plan,".to_owned(),
        sources => format!("what the plan makes of {sources}: one of them, or the plan,"),
    };
    // A slash in a JSON pointer would be written otherwise; no key has one.
    format!(
        "{key} is not {what} was changed. It is left as it is. To have it made anew, delete it and run this again:\n  \
         kubectl --namespace {namespace} patch secret {secret} --type json \
         --patch '[{{\"op\":\"remove\",\"path\":\"/data/{name}\"}}]'"
    )
}
