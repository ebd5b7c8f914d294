//! A stand-in for Kubernetes' API: Secrets of one namespace over TLS, with what the real one does and
//! clients get wrong: tokens, versions, conflicts, the verbs of a role. Tests put others' hands in
//! between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Barrier, task::JoinHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// The only one that there is.
const NAMESPACE: &str = "people";

/// Gone when dropped.
pub(crate) struct Kubernetes {
    folder: TempDir,
    port: u16,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

/// A Secret: its version, its labels, its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) is_immutable: bool,
}

/// What somebody else does before a question is answered.
type Hand = Box<dyn FnOnce(&mut State) + Send>;

pub(crate) struct State {
    pub(crate) secrets: BTreeMap<String, Stored>,
    pub(crate) token: String,
    /// What the role does not allow.
    pub(crate) forbidden: BTreeSet<Method>,
    /// Answered so before anything else is looked at.
    pub(crate) troubles: Vec<StatusCode>,
    /// By method and name.
    hands: Vec<(Method, String, Hand)>,
    /// Those who make a Secret wait here for each other, once each.
    meeting: Option<(usize, Arc<Barrier>)>,
    pub(crate) asked: Vec<(Method, String, StatusCode)>,
    versions: u64,
}

impl State {
    /// Writes as another one would.
    pub(crate) fn put(&mut self, name: &str, key: &str, value: &str) {
        self.versions += 1;
        let secret = self.secrets.entry(name.to_owned()).or_default();
        secret.version = self.versions;
        secret.values.insert(key.to_owned(), value.to_owned());
    }
}

impl Kubernetes {
    pub(crate) async fn start() -> Self {
        let folder = kit::testing::folder();
        let (authority, acceptor) = certificates();
        fs::write(folder.path().join("ca.crt"), authority).unwrap();
        fs::write(folder.path().join("token"), "the-token\n").unwrap();
        fs::write(folder.path().join("namespace"), NAMESPACE).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(Mutex::new(State {
            secrets: BTreeMap::new(),
            token: "the-token".to_owned(),
            forbidden: BTreeSet::new(),
            troubles: Vec::new(),
            hands: Vec::new(),
            meeting: None,
            asked: Vec::new(),
            versions: 0,
        }));
        Self {
            folder,
            port: listener.local_addr().unwrap().port(),
            server: tokio::spawn(serve(listener, acceptor, state.clone())),
            state,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the service account.
    pub(crate) fn account(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    pub(crate) fn secrets(&self) -> BTreeMap<String, Stored> {
        self.with(|state| state.secrets.clone())
    }

    pub(crate) fn value(&self, name: &str, key: &str) -> String {
        self.secrets()[name].values[key].clone()
    }

    /// Lets somebody act just before the next such question is answered.
    pub(crate) fn before(
        &self,
        method: Method,
        name: &str,
        hand: impl FnOnce(&mut State) + Send + 'static,
    ) {
        self.with(|state| {
            state
                .hands
                .push((method, name.to_owned(), Box::new(hand) as Hand));
        });
    }

    /// The next `number` who make a Secret are let in at the same moment.
    pub(crate) fn let_makers_meet(&self, number: usize) {
        let meeting = Some((number, Arc::new(Barrier::new(number))));
        self.with(|state| state.meeting = meeting);
    }

    /// How often it was asked so and answered so.
    pub(crate) fn count(&self, method: &Method, answer: StatusCode) -> usize {
        self.with(|state| {
            let asked = state.asked.iter();
            asked
                .filter(|(one, _, code)| one == method && *code == answer)
                .count()
        })
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An authority, and what a server of 127.0.0.1 shows that it signed.
fn certificates() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&server_key, &issuer).unwrap();
    let server_key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(server_key),
        );
    (authority, TlsAcceptor::from(Arc::new(config.unwrap())))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (acceptor, state) = (acceptor.clone(), state.clone());
        tokio::spawn(async move {
            // Whoever does not trust the certificate goes away again.
            let Ok(stream) = acceptor.accept(tcp).await else {
                return;
            };
            let service = service_fn(|request| answer(request, state.clone()));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = served.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let meeting = {
        let mut state = state.lock().unwrap();
        let is_making = head.method == Method::POST;
        let meeting = state.meeting.take_if(|_| is_making);
        if let Some((left, barrier)) = meeting.clone()
            && left > 1
        {
            state.meeting = Some((left - 1, barrier));
        }
        meeting
    };
    if let Some((_, barrier)) = meeting {
        barrier.wait().await;
    }
    let mut state = state.lock().unwrap();
    let path = head.uri.path().to_owned();
    let (code, json) = state.decide(&head, &path, &body);
    state.asked.push((head.method, path, code));
    let response = Response::builder()
        .status(code)
        .header(CONTENT_TYPE, "application/json");
    Ok(response.body(Full::from(json.to_string())).unwrap())
}

impl State {
    fn decide(
        &mut self,
        head: &hyper::http::request::Parts,
        path: &str,
        body: &[u8],
    ) -> (StatusCode, Value) {
        if let Some(trouble) = self.troubles.pop() {
            return refusal(trouble, "the server is not itself");
        }
        let shown = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if shown != Some(format!("Bearer {}", self.token).as_bytes()) {
            return refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let ["api", "v1", "namespaces", namespace, "secrets", rest @ ..] = &parts[..] else {
            return refusal(StatusCode::NOT_FOUND, "the server has no such resource");
        };
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = match rest {
            [name] => (*name).to_owned(),
            _ => json["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        if self.forbidden.contains(&head.method) {
            let what = format!(
                "secrets \"{name}\" is forbidden: User \"system:serviceaccount:people:usher\" cannot do that"
            );
            return refusal(StatusCode::FORBIDDEN, &what);
        }
        if *namespace != NAMESPACE {
            return refusal(
                StatusCode::NOT_FOUND,
                &format!("namespaces \"{namespace}\" not found"),
            );
        }
        let mut hands = self.hands.iter();
        let hand = hands.position(|(method, other, _)| *method == head.method && *other == name);
        if let Some(hand) = hand {
            let (.., hand) = self.hands.remove(hand);
            hand(self);
        }
        let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        match head.method {
            Method::GET => self.read(&name),
            Method::POST if kind == Some(b"application/json") => self.create(&name, &json),
            Method::PATCH if kind == Some(b"application/merge-patch+json") => {
                self.patch(&name, &json)
            }
            _ => refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported"),
        }
    }

    fn read(&self, name: &str) -> (StatusCode, Value) {
        match self.secrets.get(name) {
            Some(secret) => (StatusCode::OK, shown(name, secret)),
            None => refusal(
                StatusCode::NOT_FOUND,
                &format!("secrets \"{name}\" not found"),
            ),
        }
    }

    fn create(&mut self, name: &str, json: &Value) -> (StatusCode, Value) {
        if self.secrets.contains_key(name) {
            let what = format!("secrets \"{name}\" already exists");
            return refusal(StatusCode::CONFLICT, &what);
        }
        self.versions += 1;
        let labels = json["metadata"]["labels"].as_object().cloned();
        let labels = labels.unwrap_or_default().into_iter();
        let secret = Stored {
            version: self.versions,
            labels: labels
                .map(|(name, value)| (name, value.as_str().unwrap().to_owned()))
                .collect(),
            values: decoded(json),
            is_immutable: false,
        };
        self.secrets.insert(name.to_owned(), secret.clone());
        (StatusCode::CREATED, shown(name, &secret))
    }

    fn patch(&mut self, name: &str, json: &Value) -> (StatusCode, Value) {
        let Some(secret) = self.secrets.get_mut(name) else {
            let what = format!("secrets \"{name}\" not found");
            return refusal(StatusCode::NOT_FOUND, &what);
        };
        let version = json["metadata"]["resourceVersion"].as_str();
        if version.is_some_and(|version| version != secret.version.to_string()) {
            let what = format!(
                "Operation cannot be fulfilled on secrets \"{name}\": the object has been modified"
            );
            return refusal(StatusCode::CONFLICT, &what);
        }
        if secret.is_immutable {
            let what = format!(
                "Secret \"{name}\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
            );
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, &what);
        }
        self.versions += 1;
        secret.version = self.versions;
        secret.values.extend(decoded(json));
        (StatusCode::OK, shown(name, &secret.clone()))
    }
}

fn shown(name: &str, secret: &Stored) -> Value {
    let mut data = serde_json::Map::new();
    for (key, value) in &secret.values {
        data.insert(key.clone(), STANDARD.encode(value).into());
    }
    let mut json = json!({
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "resourceVersion": secret.version.to_string(),
            "labels": secret.labels,
        },
        "type": "Opaque",
    });
    // The real one leaves out what is empty.
    if !data.is_empty() {
        json["data"] = data.into();
    }
    json
}

fn decoded(json: &Value) -> BTreeMap<String, String> {
    let pairs = json["data"].as_object().cloned().unwrap_or_default();
    let decode = |value: &Value| {
        let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| (key.clone(), decode(value)))
        .collect()
}

fn refusal(code: StatusCode, message: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "code": code.as_u16(),
    });
    (code, status)
}

/// Writes a plan beside the service account.
pub(crate) fn plan(folder: &Path, plan: &Value) -> PathBuf {
    let file = folder.join("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    file
}
