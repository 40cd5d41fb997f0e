//! The names of the settings.

/// One thing that a command needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    WebSocketUrl,
    ConnectionsEndpoint,
    MessageQueueUrl,
    DeadLetterQueueUrl,
    DeliveryQueueUrl,
    DeliveryDeadLetterQueueUrl,
    ConnectionsTable,
    CredentialsTable,
    StreamsTable,
    JwtSecretArn,
    PasscodeSecretArn,
}

impl Setting {
    /// The environment variable that says it.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::WebSocketUrl => "HERMES_WEBSOCKET_URL",
            Self::ConnectionsEndpoint => "HERMES_CONNECTIONS_ENDPOINT",
            Self::MessageQueueUrl => "HERMES_MESSAGE_QUEUE_URL",
            Self::DeadLetterQueueUrl => "HERMES_DEAD_LETTER_QUEUE_URL",
            Self::DeliveryQueueUrl => "HERMES_DELIVERY_QUEUE_URL",
            Self::DeliveryDeadLetterQueueUrl => "HERMES_DELIVERY_DEAD_LETTER_QUEUE_URL",
            Self::ConnectionsTable => "HERMES_CONNECTIONS_TABLE",
            Self::CredentialsTable => "HERMES_CREDENTIALS_TABLE",
            Self::StreamsTable => "HERMES_STREAMS_TABLE",
            Self::JwtSecretArn => "HERMES_JWT_SECRET_ARN",
            Self::PasscodeSecretArn => "HERMES_PASSCODE_SECRET_ARN",
        }
    }

    /// The output of the stack that says it; also how a person is told of it.
    pub(crate) fn output(self) -> &'static str {
        match self {
            Self::WebSocketUrl => "WebSocketUrl",
            Self::ConnectionsEndpoint => "ConnectionsEndpoint",
            Self::MessageQueueUrl => "MessageQueueUrl",
            Self::DeadLetterQueueUrl => "DeadLetterQueueUrl",
            Self::DeliveryQueueUrl => "DeliveryQueueUrl",
            Self::DeliveryDeadLetterQueueUrl => "DeliveryDeadLetterQueueUrl",
            Self::ConnectionsTable => "ConnectionsTable",
            Self::CredentialsTable => "CredentialsTable",
            Self::StreamsTable => "StreamsTable",
            Self::JwtSecretArn => "JwtSecretArn",
            Self::PasscodeSecretArn => "PasscodeSecretArn",
        }
    }
}
