//! Secrets through Kubernetes' API: read, made, completed, each by one question. What is passing is
//! asked again; what another one wrote meanwhile is told to the caller, who reads again.

mod refusal;
mod secret;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use kit::{
    config::{duration, environment},
    words,
};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, sleep};

use crate::{
    exit::{Exit, Failure},
    web::{Answered, Trust, Web, WebUrl},
};
pub(super) use secret::{Secret, Value, Values};

/// Where Kubernetes puts what a pod shows its API.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How a pod reaches the API of its cluster.
#[derive(Debug, Args)]
pub(super) struct ApiArguments {
    /// Namespace of the Secrets [default: that of the pod]
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Kubernetes' API [default: as KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say]
    #[arg(long, value_name = "URL")]
    api_url: Option<WebUrl>,
    /// Folder with token, ca.crt and namespace of the service account
    #[arg(long, value_name = "DIR", default_value = MOUNTED)]
    service_account: PathBuf,
    /// How long what is missing or does not answer is waited for
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    wait: Duration,
}

/// The Secrets of one namespace.
#[derive(Debug)]
pub(super) struct Api {
    web: Web,
    token_file: PathBuf,
    namespace: String,
    deadline: Instant,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// As it stands now.
    Stored(Secret),
    /// Another one was faster.
    Raced,
}

impl ApiArguments {
    /// # Errors
    /// What this pod lacks.
    pub(super) fn api(self) -> Result<Api, Failure> {
        let url = match self.api_url {
            Some(url) => url,
            None => of_environment()?,
        };
        let folder = &self.service_account;
        let authority = folder.join("ca.crt");
        let trust = Trust::in_file(&authority).map_err(|why| no_account(&authority, &why))?;
        let namespace = match self.namespace {
            Some(namespace) => namespace,
            None => read(&folder.join("namespace"))?,
        };
        Ok(Api {
            web: Web::trusting(url, trust),
            token_file: folder.join("token"),
            namespace,
            deadline: Instant::now() + self.wait,
        })
    }
}

impl Api {
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// When it is no use to wait any longer.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The Secret, if there is one.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        let answered = self.ask(Method::GET, &self.path(name), None).await?;
        match answered.status {
            StatusCode::OK => Secret::parse(&answered.body).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused("read", name, &answered)),
        }
    }

    /// Makes a Secret that is not there.
    pub(super) async fn create(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        values: &Values,
    ) -> Result<Written, Failure> {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": { "name": name, "labels": labels },
            "data": secret::data(values),
        });
        let body = Some(("application/json", &secret));
        let answered = self.ask(Method::POST, &self.path(""), body).await?;
        match answered.status {
            StatusCode::CREATED => Secret::parse(&answered.body).map(Written::Stored),
            // Another one made it, or we did and did not hear the answer.
            StatusCode::CONFLICT => Ok(Written::Raced),
            _ => Err(self.refused("made", name, &answered)),
        }
    }

    /// Adds keys to a Secret, if it still is as it was read.
    pub(super) async fn add(&self, secret: &Secret, values: &Values) -> Result<Written, Failure> {
        let name = secret.name();
        let patch = json!({
            "metadata": { "resourceVersion": secret.version() },
            "data": secret::data(values),
        });
        let body = Some(("application/merge-patch+json", &patch));
        let answered = self.ask(Method::PATCH, &self.path(name), body).await?;
        match answered.status {
            StatusCode::OK => Secret::parse(&answered.body).map(Written::Stored),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => Ok(Written::Raced),
            _ => Err(self.refused("changed", name, &answered)),
        }
    }

    fn path(&self, name: &str) -> String {
        let secrets = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        match name {
            "" => secrets,
            name => format!("{secrets}/{name}"),
        }
    }

    fn refused(&self, what: &str, name: &str, answered: &Answered) -> Failure {
        refusal::of(what, name, &self.namespace, answered)
    }

    /// Asks until there is an answer that will not pass by itself.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, &Json)>,
    ) -> Result<Answered, Failure> {
        let mut pause = Duration::from_millis(100);
        loop {
            let request = self.request(method.clone(), path, body)?;
            let why = match self.web.ask(request).await {
                Ok(answered) if !passes(answered.status) => return Ok(answered),
                Ok(answered) => format!("it answers with {}", answered.status),
                Err(unanswered) => unanswered.to_string(),
            };
            if Instant::now() + pause > self.deadline {
                return Err(refusal::silence(self.web.url(), &why));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, &Json)>,
    ) -> Result<Request<Full<hyper::body::Bytes>>, Failure> {
        // Each time anew: Kubernetes renews it in its place.
        let token = read(&self.token_file)?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| no_account(&self.token_file, "it holds no token"))?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, bearer);
        let mut text = String::new();
        if let Some((kind, json)) = body {
            request = request.header(CONTENT_TYPE, kind);
            text = json.to_string();
        }
        let request = request.body(Full::from(text));
        Ok(request.map_err(anyhow::Error::from)?)
    }
}

/// Whether the same question may be answered otherwise in a moment.
fn passes(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn of_environment() -> Result<WebUrl, Failure> {
    let variable = |name| environment(name).and_then(|value| value.into_string().ok());
    let outside = || {
        let what = "This is no pod of a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not set.";
        Failure::new(Exit::Usage, what).hint(
            "Run it in a pod whose service account may read, make and change Secrets, or name the API with --api-url and \
             the folder with token, ca.crt and namespace with --service-account.",
        )
    };
    let host = variable("KUBERNETES_SERVICE_HOST").ok_or_else(outside)?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    format!("https://{host}:{port}")
        .parse()
        .map_err(|_| outside())
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| no_account(file, &words::of_io(&error)))?;
    Ok(text.trim().to_owned())
}

fn no_account(file: &Path, why: &str) -> Failure {
    let file = file.display();
    let what = format!("{file} of the service account cannot be used: {why}.");
    Failure::new(Exit::Usage, what).hint(
        "The pod needs automountServiceAccountToken: true, or a projected volume with token, ca.crt and namespace; \
         --service-account names its folder.",
    )
}
