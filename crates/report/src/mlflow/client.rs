//! MLflow's REST interface: requests with a time limit, which are made again where that can help.

use std::{
    error::Error,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use crate::ReportError;

/// Requests that one question may cost.
const REQUESTS: u32 = 4;
/// Time limit of a question.
const SHORT: Duration = Duration::from_secs(30);
/// Time limit of a file.
const LONG: Duration = Duration::from_mins(5);

/// What a server is shown.
pub(super) enum Access {
    /// Nothing.
    Open,
    /// A bearer token.
    Token(String),
    /// A name and a password.
    Password(String, String),
}

impl Access {
    /// `MLFLOW_TRACKING_USERNAME` with `MLFLOW_TRACKING_PASSWORD`, else `MLFLOW_TRACKING_TOKEN`, as MLflow's own
    /// client.
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
        match (user, variable("MLFLOW_TRACKING_TOKEN")) {
            (Some((name, password)), _) => Access::Password(name, password),
            (None, Some(token)) => Access::Token(token),
            (None, None) => Access::Open,
        }
    }
}

/// Why a request did not work.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whether the same request may work a moment later.
    pub(super) passing: bool,
    /// MLflow's word for it, or nothing.
    pub(super) code: String,
    /// For people.
    pub(super) reason: String,
}

impl Failure {
    /// One that stays, however often it is asked.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self {
            passing: false,
            code: String::new(),
            reason: reason.into(),
        }
    }

    fn unsent(what: &str, error: &reqwest::Error) -> Self {
        let reason = match error.is_timeout() {
            true => format!("the time limit was reached at `{what}`"),
            false => format!("no answer at `{what}`: {}", cause(error)),
        };
        Self {
            passing: !error.is_builder() && !error.is_redirect(),
            ..Self::lasting(reason)
        }
    }

    fn refused(what: &str, status: u16, body: &str) -> Self {
        let document: Value = serde_json::from_str(body).unwrap_or_default();
        let reason = match document["message"].as_str() {
            Some(message) => format!("MLflow refused `{what}` ({status}): {}", one_line(message)),
            None if body.trim().is_empty() || body.trim_start().starts_with('<') => {
                format!("`{what}` was answered with status {status}; expected an MLflow tracking server")
            }
            None => format!("`{what}` was answered with status {status}: {}", one_line(body)),
        };
        Self {
            passing: status == 429 || status >= 500,
            code: document["error_code"].as_str().unwrap_or_default().into(),
            reason,
        }
    }
}

/// A tracking server.
pub(super) struct Server {
    client: Client,
    base: Url,
    access: Access,
    pause: Duration,
}

impl Server {
    /// Nothing is sent yet. The first pause after a refusal is `pause`; it doubles each time.
    pub(super) fn new(uri: &str, access: Access, pause: Duration) -> Result<Self, ReportError> {
        let base = address(uri)?;
        let mut builder = Client::builder()
            .user_agent(concat!("disentangle/", env!("CARGO_PKG_VERSION")))
            .timeout(SHORT);
        if is_this_machine(&base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| refused(&base, &cause(&error)))?;
        // Credentials in the URI are sent by reqwest itself.
        let access = match base.username().is_empty() && base.password().is_none() {
            true => access,
            false => Access::Open,
        };
        Ok(Self {
            client,
            base,
            access,
            pause,
        })
    }

    /// The server's address without credentials, and without a slash at its end.
    pub(super) fn shown(&self) -> String {
        shown(&self.base)
    }

    /// An error that names the server.
    pub(super) fn error(&self, reason: &str) -> ReportError {
        refused(&self.base, reason)
    }

    /// Asks until it works, the budget of requests is spent, or asking again cannot help.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, ReportError> {
        let mut pause = self.pause;
        let mut asked = 1;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.passing && asked < REQUESTS => {
                    asked += 1;
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(failure) if failure.passing => {
                    let reason = format!("{}, also after {REQUESTS} requests; try again later", failure.reason);
                    return Err(self.error(&reason));
                }
                Err(failure) => return Err(self.error(&failure.reason)),
            }
        }
    }

    /// Reads a document.
    pub(super) async fn get(&self, endpoint: &str, key: &str, value: &str) -> Result<Value, Failure> {
        let mut url = self.url(&format!("mlflow/{endpoint}"));
        url.query_pairs_mut().append_pair(key, value);
        self.document(endpoint, self.client.get(url)).await
    }

    /// Sends a document, and reads one.
    pub(super) async fn post(&self, endpoint: &str, body: &Value) -> Result<Value, Failure> {
        let url = self.url(&format!("mlflow/{endpoint}"));
        self.document(endpoint, self.client.post(url).json(body)).await
    }

    /// Sends a file to the server's own store of artifacts.
    pub(super) async fn put(&self, path: &str, kind: &'static str, content: &[u8]) -> Result<(), Failure> {
        let url = self.url(&format!("mlflow-artifacts/artifacts/{path}"));
        let request = self.client.put(url).header("content-type", kind).timeout(LONG);
        self.send(path, request.body(content.to_vec())).await.map(|_| ())
    }

    /// Where the run's artifacts lie in the server's own store, if they do.
    ///
    /// A store on another machine gets nothing: the credentials are for this server.
    pub(super) fn stored_at(&self, artifact_uri: &str) -> Option<String> {
        let uri = Url::parse(artifact_uri)
            .ok()
            .filter(|uri| uri.scheme() == "mlflow-artifacts")?;
        let host = uri.host_str().unwrap_or_default();
        let port = uri.port();
        let is_here = host.is_empty()
            || Some(host) == self.base.host_str() && (port.is_none() || port == self.base.port_or_known_default());
        is_here.then(|| uri.path().trim_matches('/').to_string())
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/2.0/{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn document(&self, what: &str, request: RequestBuilder) -> Result<Value, Failure> {
        let text = self.send(what, request).await?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::lasting(format!(
                "`{what}` was answered with something other than JSON; expected an MLflow tracking server"
            ))
        })
    }

    async fn send(&self, what: &str, request: RequestBuilder) -> Result<String, Failure> {
        let request = match &self.access {
            Access::Open => request,
            Access::Token(token) => request.bearer_auth(token),
            Access::Password(name, password) => request.basic_auth(name, Some(password)),
        };
        let failed = |error: reqwest::Error| Failure::unsent(what, &error);
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.text().await.map_err(failed)?;
        match status.is_success() {
            true => Ok(body),
            false => Err(Failure::refused(what, status.as_u16(), &body)),
        }
    }
}

/// The address of a server, or a sentence.
pub(super) fn address(uri: &str) -> Result<Url, ReportError> {
    match Url::parse(uri.trim()) {
        Ok(mut url) if ["http", "https"].contains(&url.scheme()) => {
            url.set_query(None);
            url.set_fragment(None);
            Ok(url)
        }
        _ => Err(ReportError::Server {
            // What stands before the last @ may be a password.
            uri: uri.rsplit('@').next().unwrap_or_default().into(),
            reason: "expected the http or https address of an MLflow tracking server, for example \
                     http://127.0.0.1:5000"
                .into(),
        }),
    }
}

fn shown(base: &Url) -> String {
    let mut url = base.clone();
    // Both fail for addresses without a host only, which hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').into()
}

fn refused(base: &Url, reason: &str) -> ReportError {
    ReportError::Server {
        uri: shown(base),
        reason: reason.into(),
    }
}

/// No proxy leads to this machine's own addresses.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || inner.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || inner.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// The outer error says that a request failed; the innermost says why.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The first sentences of a text that may be long.
fn one_line(text: &str) -> String {
    const MOST: usize = 300;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.trim_end_matches('.').into(),
    }
}
