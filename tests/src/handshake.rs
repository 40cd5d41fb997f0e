//! Handshakes as API Gateway hands them to the authorizer, and what the authorizer makes of them.

use authorizer::{Authorizer, NoDecision};
use aws_lambda_events::iam::IamPolicyEffect;
use hermes::ports::Credentials;
use serde_json::{Map, Value, json};

/// The resource that every handshake asks for.
pub const METHOD_ARN: &str =
    "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$connect";

/// A client's attempt to connect.
#[derive(Debug, Clone, Default)]
pub struct Handshake {
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Handshake {
    /// With a query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `?token=`.
    pub fn with_query_token(token: &str) -> Self {
        Self::default().query("token", token)
    }

    /// With the subprotocols `bearer` and the token.
    pub fn with_subprotocol_token(token: &str) -> Self {
        Self::default().header("Sec-WebSocket-Protocol", &format!("bearer, {token}"))
    }

    /// The event that API Gateway makes of it. Where a name is given twice, the maps of single values
    /// hold the last one.
    pub fn to_event(&self) -> Value {
        let single = |pairs: &[(String, String)]| -> Value {
            pairs
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect::<Map<_, _>>()
                .into()
        };
        let multiple = |pairs: &[(String, String)]| -> Value {
            let mut map = Map::new();
            for (name, value) in pairs {
                let values = map.entry(name.clone()).or_insert_with(|| json!([]));
                values.as_array_mut().expect("an array").push(json!(value));
            }
            map.into()
        };
        let mut headers = vec![
            (
                "Host".to_owned(),
                "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com".to_owned(),
            ),
            ("Sec-WebSocket-Version".to_owned(), "13".to_owned()),
        ];
        headers.extend(self.headers.clone());
        json!({
            "type": "REQUEST",
            "methodArn": METHOD_ARN,
            "headers": single(&headers),
            "multiValueHeaders": multiple(&headers),
            "queryStringParameters": single(&self.query),
            "multiValueQueryStringParameters": multiple(&self.query),
            "stageVariables": {},
            "requestContext": {
                "routeKey": "$connect", "eventType": "CONNECT", "messageDirection": "IN", "stage": "dev",
                "requestId": "f0bb6d7a-0001", "extendedRequestId": "f0bb6d7a-0002", "apiId": "a1b2c3d4e5",
                "connectionId": "Zk3fGd2HliACEzg=", "connectedAt": 1_795_300_000_007_u64,
                "requestTime": "21/Nov/2026:22:26:40 +0000", "requestTimeEpoch": 1_795_300_000_007_u64,
                "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
                "identity": {"sourceIp": "203.0.113.7", "userAgent": "Mozilla/5.0"},
            },
        })
    }
}

/// What the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The socket opens.
    Allowed,
    /// 401.
    Unauthorized,
    /// 403.
    Denied,
    /// 500.
    Failed,
}

/// Lets the authorizer decide on a handshake, from the event's JSON to its own.
pub async fn decide<C: Credentials>(authorizer: &Authorizer<C>, event: Value) -> Outcome {
    let Ok(event) = serde_json::from_value(event) else {
        return Outcome::Failed;
    };
    match authorizer.handle(event).await {
        Ok(decision) => match &decision.policy_document.statement[..] {
            [only] if only.resource == [METHOD_ARN] && only.action == ["execute-api:Invoke"] => {
                match only.effect {
                    IamPolicyEffect::Allow => Outcome::Allowed,
                    IamPolicyEffect::Deny => Outcome::Denied,
                    _ => Outcome::Failed,
                }
            }
            _ => Outcome::Failed,
        },
        Err(NoDecision::Unauthorized) => Outcome::Unauthorized,
        Err(NoDecision::Unavailable) => Outcome::Failed,
    }
}
