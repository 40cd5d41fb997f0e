//! The sockets that API Gateway holds, reached over its `@connections` API.

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_types::SdkConfig;

use crate::id::ConnectionId;
use crate::ports::{PortError, PostError, Posted, Sockets};

/// The sockets of one API and stage.
#[derive(Debug, Clone)]
pub struct ApiGatewaySockets {
    client: Client,
}

impl ApiGatewaySockets {
    /// The sockets behind `endpoint`, such as `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    pub fn new(config: &SdkConfig, endpoint: &str) -> Self {
        let config = Builder::from(config)
            .endpoint_url(endpoint)
            // The fan-out tries again by itself: it knows how much time is left for all members.
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }
}

impl Sockets for ApiGatewaySockets {
    async fn post(&self, connection: &ConnectionId, frame: &str) -> Result<Posted, PostError> {
        let post = self
            .client
            .post_to_connection()
            .connection_id(connection.as_str())
            .data(Blob::new(frame));
        match post.send().await {
            Ok(_) => Ok(Posted::Delivered),
            Err(error) => match status(&error) {
                Some(410) => Ok(Posted::Gone),
                // No answer at all (a timeout, a broken connection) may pass, like 429 and 5xx.
                answer => Err(PostError {
                    retryable: answer.is_none_or(|status| status == 429 || status >= 500),
                    source: error.into(),
                }),
            },
        }
    }

    async fn close(&self, connection: &ConnectionId) -> Result<(), PortError> {
        match self
            .client
            .delete_connection()
            .connection_id(connection.as_str())
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(410) => Ok(()),
            Err(error) => Err(PortError::new("closing the connection", error)),
        }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
