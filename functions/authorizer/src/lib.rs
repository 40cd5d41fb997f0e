//! The authorizer: decides on `$connect` who may be in which room.
//!
//! In the order of cost: the token's shape, its signature and times, one read, one bcrypt. What fails
//! early costs nothing of what comes after.

use std::collections::HashMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayCustomAuthorizerResponse,
};
use aws_lambda_events::http::HeaderMap;
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use hermes::claims::{Claims, TokenVerifier};
use hermes::credential::CredentialCheck;
use hermes::handshake::{QUERY_PARAMETER, find_token};
use hermes::ports::{Credentials, PortError};
use hermes::telemetry::{Metric, emit, error_chain};
use lambda_runtime::Diagnostic;
use tracing::{error, info};

/// An allowed or denied handshake.
pub type Decision = ApiGatewayCustomAuthorizerResponse<HashMap<String, String>>;

/// Why there is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDecision {
    /// The handshake shows no valid token: the client is answered 401.
    Unauthorized,
    /// The Credentials table could not be read: the client is answered 500.
    Unavailable,
}

impl From<NoDecision> for Diagnostic {
    fn from(reason: NoDecision) -> Self {
        let error_message = match reason {
            // API Gateway answers 401 to exactly this text.
            NoDecision::Unauthorized => "Unauthorized",
            NoDecision::Unavailable => "the credential could not be read",
        };
        Self {
            error_type: format!("{reason:?}"),
            error_message: error_message.to_owned(),
        }
    }
}

/// Decides on handshakes.
pub struct Authorizer<C> {
    verifier: TokenVerifier,
    credentials: C,
    check: CredentialCheck,
}

impl<C: Credentials> Authorizer<C> {
    /// An authorizer that trusts what `verifier` accepts and `credentials` confirms.
    pub fn new(verifier: TokenVerifier, credentials: C) -> Self {
        Self {
            verifier,
            credentials,
            check: CredentialCheck::default(),
        }
    }

    /// How many times bcrypt was computed, for tests and measurements.
    pub fn bcrypts(&self) -> u64 {
        self.check.computed()
    }

    /// Handles one event of the `$connect` route.
    ///
    /// # Errors
    ///
    /// [`NoDecision`], which API Gateway turns into 401 or 500. A valid token that is revoked, or
    /// whose row is missing or does not match, is a denial (403) and no error.
    pub async fn handle(
        &self,
        event: ApiGatewayCustomAuthorizerRequestTypeRequest,
    ) -> Result<Decision, NoDecision> {
        let decision = self.decide(&event).await;
        if !matches!(&decision, Ok(decision) if is_allowed(decision)) {
            emit(&[(Metric::Rejected, 1)]);
        }
        decision
    }

    async fn decide(
        &self,
        event: &ApiGatewayCustomAuthorizerRequestTypeRequest,
    ) -> Result<Decision, NoDecision> {
        let query = query_tokens(event);
        let protocols = protocols(event);
        let token = find_token(&query, &protocols).map_err(|reason| unauthorized(&reason))?;
        let claims = self
            .verifier
            .verify(token)
            .map_err(|reason| unauthorized(&reason))?;
        let allowed = self.is_confirmed(&claims).await.map_err(|error| {
            error!(
                error = error_chain(&error),
                "could not decide on a handshake"
            );
            NoDecision::Unavailable
        })?;
        let method_arn = event.method_arn.as_deref().unwrap_or_default();
        Ok(if allowed {
            allow(method_arn, &claims)
        } else {
            deny(method_arn, &claims)
        })
    }

    /// Whether the stored hash is that of the inner token. The row is read each time, so that a
    /// revocation counts at once.
    async fn is_confirmed(&self, claims: &Claims) -> Result<bool, PortError> {
        let row = self.credentials.find(&claims.user, &claims.room).await?;
        let (confirmed, reason) = match row.map(|row| row.token_hash) {
            None => (false, "there is no credential"),
            Some(None) => (false, "the credential is revoked"),
            Some(Some(hash)) => (
                self.check.matches(&claims.token, &hash),
                "the inner token does not match",
            ),
        };
        if !confirmed {
            info!(user_id = %claims.user, room_id = %claims.room, reason, "denied {} in {}", claims.user, claims.room);
        }
        Ok(confirmed)
    }
}

fn unauthorized(reason: &dyn std::error::Error) -> NoDecision {
    info!(%reason, "refused a handshake");
    NoDecision::Unauthorized
}

fn query_tokens(event: &ApiGatewayCustomAuthorizerRequestTypeRequest) -> Vec<&str> {
    let multiple = event
        .multi_value_query_string_parameters
        .all(QUERY_PARAMETER);
    multiple
        .or_else(|| event.query_string_parameters.all(QUERY_PARAMETER))
        .unwrap_or_default()
}

fn protocols(event: &ApiGatewayCustomAuthorizerRequestTypeRequest) -> Vec<&str> {
    let values = |headers: &'_ HeaderMap| headers.contains_key("sec-websocket-protocol");
    let headers = if values(&event.multi_value_headers) {
        &event.multi_value_headers
    } else {
        &event.headers
    };
    // What is no text cannot be a token; it still counts as one that was given.
    headers
        .get_all("sec-websocket-protocol")
        .iter()
        .map(|value| value.to_str().unwrap_or("\u{fffd}"))
        .collect()
}

fn allow(method_arn: &str, claims: &Claims) -> Decision {
    let mut decision = decision(IamPolicyEffect::Allow, method_arn, claims);
    decision.context = [
        ("user_id", claims.user.to_string()),
        ("room_id", claims.room.to_string()),
        ("exp", claims.expires_at.as_secs().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    decision
}

fn deny(method_arn: &str, claims: &Claims) -> Decision {
    decision(IamPolicyEffect::Deny, method_arn, claims)
}

fn decision(effect: IamPolicyEffect, method_arn: &str, claims: &Claims) -> Decision {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = effect;
    statement.resource = vec![method_arn.to_owned()];
    let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
    policy.version = Some("2012-10-17".to_owned());
    policy.statement = vec![statement];
    let mut decision = Decision::default();
    decision.principal_id = Some(claims.user.to_string());
    decision.policy_document = policy;
    decision
}

fn is_allowed(decision: &Decision) -> bool {
    decision
        .policy_document
        .statement
        .iter()
        .all(|statement| matches!(statement.effect, IamPolicyEffect::Allow))
}
