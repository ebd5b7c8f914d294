//! The one plan of three services: the same place has the same children in each, what must be there
//! is there, and what is empty does not exist.

/// A place of a service's `src`: a file, or a folder with the file that opens it.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    /// The services that may have it.
    may: &'static [&'static str],
    /// Those of them that must.
    must: &'static [&'static str],
    /// What may lie in its folder; `None` where names follow the work.
    children: Option<&'static [Place]>,
}

const ALL: &[&str] = &["accounts", "verification", "mailer"];

const PLAN: [Place; 19] = [
    file("main"),
    file("lib"),
    file("app"),
    file("config"),
    Place {
        children: Some(&GRPC),
        ..folder("grpc")
    },
    file("consumer").only_in(&["accounts", "verification"]),
    folder("commands"),
    folder("domain"),
    folder("store"),
    file("metrics").at_least_in(&["verification", "mailer"]),
    folder("migrations"),
    folder("dispatch").only_in(&["accounts"]),
    file("events").only_in(&["verification"]),
    file("code_keys").only_in(&["verification"]),
    folder("delivery").only_in(&["verification"]),
    folder("admission").only_in(&["mailer"]),
    folder("mail").only_in(&["mailer"]),
    folder("transport").only_in(&["mailer"]),
    // A root as `main` and `lib` are, of benchmarks.
    file("bench").only_in(&["mailer"]),
];

const GRPC: [Place; 5] = [
    file("admin"),
    // Not where a command parses the request's parts by itself, as in accounts.
    file("decode").at_least_in(&["verification", "mailer"]),
    file("encode"),
    file("status"),
    file("stream").only_in(&["accounts", "mailer"]),
];

const fn file(name: &'static str) -> Place {
    Place {
        name,
        may: ALL,
        must: ALL,
        children: Some(&[]),
    }
}

const fn folder(name: &'static str) -> Place {
    Place {
        children: None,
        ..file(name)
    }
}

impl Place {
    const fn only_in(self, services: &'static [&'static str]) -> Self {
        Self {
            may: services,
            must: services,
            ..self
        }
    }

    const fn at_least_in(self, services: &'static [&'static str]) -> Self {
        Self {
            must: services,
            ..self
        }
    }
}

/// What the outside may name of a service.
const PUBLIC: [&str; 3] = ["app", "config", "migrations"];

/// What is wrong with where a file stands (`services/accounts/src/grpc/status.rs`), or with what it
/// makes public.
pub(crate) fn complaints(file: &str, source: &str) -> Vec<String> {
    let Some((service, inside)) = of_service(file) else {
        return Vec::new();
    };
    let path: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let Some(place) = PLAN.iter().find(|place| place.name == path[0]) else {
        return vec![format!(
            "{file}: no service has a place `{}`\n    Places are {}.",
            path[0],
            names(&PLAN)
        )];
    };
    let mut complaints = Vec::new();
    complaints.extend(misplaced(file, service, place));
    if let (Some(children), Some(name)) = (place.children, path.get(1)) {
        match children.iter().find(|child| child.name == *name) {
            Some(child) => complaints.extend(misplaced(file, service, child)),
            None => complaints.push(format!(
                "{file}: `{}` has no child `{name}`\n    Its children are {}.",
                place.name,
                names(children)
            )),
        }
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

/// What is not there and has to be: places, and the line by which its parent compiles a file.
pub(crate) fn absences(sources: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let source = |file: &str| sources.iter().find(|(name, _)| name == file);
    for service in ALL {
        for place in &PLAN {
            let children = place.children.unwrap_or_default().iter();
            let children = children.map(|child| (child, format!("{}/{}", place.name, child.name)));
            for (place, path) in children.chain([(place, place.name.to_owned())]) {
                let file = format!("services/{service}/src/{path}.rs");
                if place.must.contains(service) && source(&file).is_none() {
                    complaints.push(format!(
                        "{file}: is missing\n    {} have it: whoever knows one service looks there.",
                        place.must.join(", ")
                    ));
                }
            }
        }
    }
    for (file, _) in sources {
        let Some((service, inside)) = of_service(file) else {
            continue;
        };
        let (folder, name) = inside.rsplit_once('/').unwrap_or(("lib", inside));
        let name = name.trim_end_matches(".rs");
        let parent = format!("services/{service}/src/{folder}.rs");
        let is_root = ["main", "lib", "bench"].contains(&name) && !inside.contains('/');
        let declared = source(&parent).is_some_and(|(_, text)| declares(text, name));
        if !is_root && !declared {
            complaints.push(format!(
                "{file}: {parent} has no line `mod {name};`\n    Declare it, or delete it: nothing compiles it."
            ));
        }
    }
    complaints
}

fn of_service(file: &str) -> Option<(&str, &str)> {
    let (service, inside) = file.strip_prefix("services/")?.split_once("/src/")?;
    ALL.contains(&service).then_some((service, inside))
}

fn misplaced(file: &str, service: &str, place: &Place) -> Option<String> {
    let services = place.may.join(", ");
    let told = format!("{file}: `{}` is a place of {services} only", place.name);
    (!place.may.contains(&service)).then_some(told)
}

fn names(places: &[Place]) -> String {
    let names: Vec<_> = places.iter().map(|place| place.name).collect();
    match &names[..] {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}

fn declares(source: &str, name: &str) -> bool {
    let declaration = format!("mod {name};");
    source.lines().any(|line| {
        let rest = line.strip_suffix(&declaration);
        rest.is_some_and(|visibility| {
            matches!(visibility, "" | "pub " | "pub(crate) " | "pub(super) ")
        })
    })
}

fn is_step(name: &str) -> bool {
    let number = name.strip_prefix('m').and_then(|rest| rest.split_once('_'));
    number.is_some_and(|(number, what)| {
        number.len() == 4 && number.parse::<u32>().is_ok() && !what.is_empty()
    })
}
