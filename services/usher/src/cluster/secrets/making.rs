//! From what is stored to what the plan wants, one write at a time. A derived value is made only of
//! what is stored, or is stored by the same write: whoever is slower than another one reads again,
//! so that both end with the values of the faster.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    plan::{Plan, PlannedSecret},
    reference::Reference,
    values::{self, Lack},
};
use crate::{
    cluster::kubernetes::{Api, Secret, Value, Values, Written},
    exit::{Exit, Failure},
    terminal::Step,
};

/// How often it is looked whether others have made their Secrets.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Making<'a> {
    plan: &'a Plan,
    api: &'a Api,
    stored: BTreeMap<&'a str, Option<Secret>>,
    /// What this run wrote.
    written: BTreeMap<Reference, Outcome>,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Made with its Secret.
    Made,
    /// Added to a Secret that was there.
    Added,
    /// There before, and left.
    Left,
    /// The same, and it is not what the plan makes of its sources.
    Differs,
}

/// What the plan wants and is there now.
#[derive(Debug)]
pub(super) struct Made {
    written: BTreeMap<Reference, Outcome>,
    misfits: Vec<Misfit>,
}

/// A derived key that is not what the plan makes of its sources.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) key: Reference,
    pub(super) sources: Vec<Reference>,
}

/// A key that cannot be made, and why.
type Lacking = (Reference, Lack);

impl<'a> Making<'a> {
    /// Reads everything that the plan speaks of.
    pub(super) async fn begin(plan: &'a Plan, api: &'a Api) -> Result<Self, Failure> {
        let mut stored = BTreeMap::new();
        for name in plan.names() {
            stored.insert(name, api.get(name).await?);
        }
        Ok(Self {
            plan,
            api,
            stored,
            written: BTreeMap::new(),
        })
    }

    /// Writes until nothing is missing.
    pub(super) async fn finish(mut self, step: &Step) -> Result<Made, Failure> {
        loop {
            let mut partly = None;
            let mut lacking = Vec::new();
            let mut whole = None;
            for planned in &self.plan.secrets {
                let (values, lacks) = self.missing(planned);
                let is_whole = lacks.is_empty();
                lacking.extend(lacks);
                match values.is_empty() {
                    true => {}
                    false if is_whole => whole = whole.or(Some((planned, values))),
                    false => partly = partly.or(Some((planned, values))),
                }
            }
            // Whole ones first: what they hold may be what the others lack, and who reads a Secret
            // should find all of its keys at once.
            match whole.or(partly) {
                Some((planned, values)) => self.write(planned, values).await?,
                None if lacking.is_empty() => break,
                None => self.wait(&lacking, step).await?,
            }
        }
        let misfits = self.misfits();
        Ok(Made {
            written: self.written,
            misfits,
        })
    }

    /// Values for the keys that a Secret lacks, as far as they can be made.
    fn missing(&self, planned: &PlannedSecret) -> (Values, Vec<Lacking>) {
        let mut values = Values::new();
        loop {
            let (before, mut lacking) = (values.len(), Vec::new());
            for (key, kind) in &planned.keys {
                let own = Reference::new(&planned.name, key);
                if values.contains_key(key) || self.value(&own).is_some() {
                    continue;
                }
                let made = values::make(kind, |source| {
                    let ours = (source.secret() == planned.name).then(|| values.get(source.key()));
                    ours.flatten().or_else(|| self.value(source))
                });
                match made {
                    Ok(value) => {
                        values.insert(key.clone(), value);
                    }
                    Err(lack) => lacking.push((own, lack)),
                }
            }
            // Keys of one Secret may be made of each other.
            if values.len() == before {
                return (values, lacking);
            }
        }
    }

    fn value(&self, reference: &Reference) -> Option<&Value> {
        let secret = self.stored.get(reference.secret())?.as_ref()?;
        secret.value(reference.key())
    }

    async fn write(&mut self, planned: &'a PlannedSecret, values: Values) -> Result<(), Failure> {
        let (api, name) = (self.api, planned.name.as_str());
        let there = self.stored.get(name).and_then(Option::as_ref);
        let (written, outcome) = match there {
            None => {
                let made = api.create(name, &self.plan.labels, &values).await?;
                (made, Outcome::Made)
            }
            Some(secret) => (api.add(secret, &values).await?, Outcome::Added),
        };
        match written {
            Written::Stored(secret) => {
                self.stored.insert(name, Some(secret));
                for key in values.keys() {
                    self.written.insert(Reference::new(name, key), outcome);
                }
            }
            // What the other one wrote holds.
            Written::Raced if Instant::now() < self.api.deadline() => {
                self.stored.insert(name, api.get(name).await?);
            }
            Written::Raced => {
                let what = format!("The Secret {name} is changed by somebody else all the time.");
                return Err(Failure::new(Exit::Unavailable, what)
                    .hint("Find out who writes it, and run this again: what was made stays."));
            }
        }
        Ok(())
    }

    /// Waits for what others are to make.
    async fn wait(&mut self, lacking: &[Lacking], step: &Step) -> Result<(), Failure> {
        let is_useless = |(_, lack): &Lacking| matches!(lack, Lack::Useless(..));
        if lacking.iter().any(is_useless) || Instant::now() + LOOK_EVERY > self.api.deadline() {
            return Err(lacks(lacking, self.api.namespace()));
        }
        let mut names = BTreeSet::new();
        for (_, lack) in lacking {
            names.insert(lack.source().secret());
        }
        let spoken = Vec::from_iter(names.iter().copied()).join(", ");
        step.now(&format!("waiting for what others make: {spoken}"));
        sleep(LOOK_EVERY).await;
        let plan = self.plan;
        for name in plan.names() {
            if names.contains(name) {
                self.stored.insert(name, self.api.get(name).await?);
            }
        }
        Ok(())
    }

    fn misfits(&self) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        for PlannedSecret { name, keys } in &self.plan.secrets {
            for (key, kind) in keys.iter().filter(|(_, kind)| kind.is_derived()) {
                let own = Reference::new(name, key);
                let made = values::make(kind, |source| self.value(source)).ok();
                let fits = made
                    .zip(self.value(&own))
                    .is_none_or(|(made, stored)| values::are_same(&made, stored));
                if !fits {
                    let sources = kind.sources().into_iter().cloned();
                    misfits.push(Misfit {
                        key: own,
                        sources: sources.collect(),
                    });
                }
            }
        }
        misfits
    }
}

impl Made {
    pub(super) fn outcome(&self, secret: &str, key: &str) -> Outcome {
        let key = Reference::new(secret, key);
        let differs = self.misfits.iter().any(|other| other.key == key);
        match self.written.get(&key) {
            _ if differs => Outcome::Differs,
            Some(outcome) => *outcome,
            None => Outcome::Left,
        }
    }

    pub(super) fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }
}

fn lacks(lacking: &[Lacking], namespace: &str) -> Failure {
    let mut sentences = Vec::new();
    for (key, lack) in lacking {
        sentences.push(match lack {
            Lack::Missing(source) => format!("{key} is made of {source}, which is not there"),
            Lack::Useless(source, why) => {
                format!("{key} is made of {source}, which is of no use: {why}")
            }
        });
    }
    let sentences = sentences.join("; ");
    let what = format!("Not every secret in namespace {namespace} could be made: {sentences}.");
    Failure::new(Exit::NotFound, what).hint(
        "Make or correct what is named, then run this again; everything else was made, and stays.",
    )
}
