//! A backend that calls the server API, signed as IAM wants it.

use aws_credential_types::Credentials;
use serde_json::Value;
use ureq::http::Request;

use crate::signed::sign_for;
use crate::stack::{PATIENCE, Stack};

/// Who calls which API.
#[derive(Clone)]
pub struct Backend {
    url: String,
    credentials: Option<Credentials>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its media type; empty where there is no body.
    pub media_type: String,
    /// The body; null where there is none.
    pub json: Value,
}

impl Backend {
    /// The account itself, which may do everything.
    pub fn root(stack: &Stack) -> Self {
        let root = Credentials::new("test", "test", None, None, "root");
        Self::with(stack, Some(root))
    }

    /// Somebody with these credentials, or with none.
    pub fn with(stack: &Stack, credentials: Option<Credentials>) -> Self {
        let url = stack.output("ServerApiUrl").to_owned();
        Self { url, credentials }
    }

    /// A request without a body.
    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, &[], "").await
    }

    /// A request with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send("POST", path, &headers, &body.to_string()).await
    }

    /// A request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_owned()).expect("a request");
        if let Some(credentials) = &self.credentials {
            sign_for("execute-api", credentials, &mut request);
        }
        tokio::task::spawn_blocking(move || call(request))
            .await
            .expect("the call does not panic")
    }
}

fn call(request: Request<String>) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let answer = if request.body().is_empty() {
        agent.run(request.map(|_| ()))
    } else {
        agent.run(request)
    };
    let mut answer = answer.expect("the API answers");
    let text = answer.body_mut().read_to_string().expect("text");
    let media_type = answer.headers().get("content-type");
    Answer {
        status: answer.status().as_u16(),
        media_type: media_type
            .map(|value| value.to_str().expect("text").to_owned())
            .unwrap_or_default(),
        json: serde_json::from_str(&text).unwrap_or_default(),
    }
}
