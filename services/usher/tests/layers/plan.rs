//! The one plan of three services: the same place has the same children in each, and what is empty
//! does not exist.

/// A place of a service's `src`, and what may lie in its folder; `None` where names follow the
/// work.
struct Place {
    name: &'static str,
    /// The services that have it, where not all may.
    only: &'static [&'static str],
    children: Option<&'static [&'static str]>,
}

const ALL: &[&str] = &["accounts", "verification", "mailer"];

const PLAN: [Place; 17] = [
    Place {
        name: "main",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "lib",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "app",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "config",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "grpc",
        only: ALL,
        children: Some(&["admin", "decode", "encode", "status", "stream"]),
    },
    Place {
        name: "consumer",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "commands",
        only: ALL,
        children: None,
    },
    Place {
        name: "domain",
        only: ALL,
        children: None,
    },
    Place {
        name: "store",
        only: ALL,
        children: None,
    },
    Place {
        name: "metrics",
        only: ALL,
        children: Some(&[]),
    },
    Place {
        name: "migrations",
        only: ALL,
        children: None,
    },
    Place {
        name: "dispatch",
        only: &["accounts"],
        children: None,
    },
    Place {
        name: "events",
        only: &["verification"],
        children: Some(&[]),
    },
    Place {
        name: "delivery",
        only: &["verification"],
        children: None,
    },
    Place {
        name: "admission",
        only: &["mailer"],
        children: None,
    },
    Place {
        name: "mail",
        only: &["mailer"],
        children: None,
    },
    Place {
        name: "transport",
        only: &["mailer"],
        children: None,
    },
];

/// What the outside may name of a service.
const PUBLIC: [&str; 3] = ["app", "config", "migrations"];

/// What is wrong with where a file stands (`services/accounts/src/grpc/status.rs`), or with what it
/// makes public.
pub(crate) fn complaints(file: &str, source: &str) -> Vec<String> {
    let Some((service, inside)) = file
        .strip_prefix("services/")
        .and_then(|rest| rest.split_once("/src/"))
    else {
        return Vec::new();
    };
    if !ALL.contains(&service) {
        return Vec::new();
    }
    let path: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let Some(place) = PLAN.iter().find(|place| place.name == path[0]) else {
        let known: Vec<_> = PLAN.iter().map(|place| place.name).collect();
        return vec![format!(
            "{file}: no service has a place `{}`\n    Places are {}.",
            path[0],
            known.join(", ")
        )];
    };
    let mut complaints = Vec::new();
    if !place.only.contains(&service) {
        complaints.push(format!(
            "{file}: `{}` is a place of {} only",
            place.name,
            place.only.join(", ")
        ));
    }
    if let (Some(children), Some(child)) = (place.children, path.get(1))
        && !children.contains(child)
    {
        complaints.push(format!(
            "{file}: `{}` has no child `{child}`\n    Its children are {}, in each service.",
            place.name,
            if children.is_empty() {
                "none".to_owned()
            } else {
                children.join(", ")
            }
        ));
    }
    if let (["migrations", step], false) = (&path[..], is_step(path[path.len() - 1])) {
        complaints.push(format!(
            "{file}: `{step}` is no step\n    A step is called m0001_what_it_makes."
        ));
    }
    if path[0] == "lib" {
        let public = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod "))
            .map(|name| name.trim_end_matches(';'));
        for name in public.filter(|name| !PUBLIC.contains(name)) {
            complaints.push(format!("{file}: `{name}` is public\n    Only {} are: everything else is nobody's business.", PUBLIC.join(", ")));
        }
    }
    complaints
}

fn is_step(name: &str) -> bool {
    let number = name.strip_prefix('m').and_then(|rest| rest.split_once('_'));
    number.is_some_and(|(number, what)| {
        number.len() == 4 && number.parse::<u32>().is_ok() && !what.is_empty()
    })
}
