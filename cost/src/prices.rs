//! The list prices.

use serde::Deserialize;

/// A price, as it stands in `prices.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Price {
    /// In US dollars.
    pub usd: f64,
    /// For so many units.
    pub per: f64,
    /// What is counted.
    pub unit: String,
    /// The page that says so.
    pub source: String,
    /// When it was last compared with what.
    pub checked: String,
}

impl Price {
    /// What so many units cost, in US dollars.
    pub fn of(&self, quantity: f64) -> f64 {
        self.usd * quantity / self.per
    }
}

macro_rules! prices {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Every price that a bill is made of. Free tiers are not deducted.
        #[derive(Debug, Clone, Deserialize)]
        pub struct Prices {
            /// Where they hold.
            pub region: String,
            $($(#[$doc])* pub $name: Price,)*
        }

        impl Prices {
            /// All of them, each with its name in the file.
            pub fn all(&self) -> Vec<(&'static str, &Price)> {
                vec![$((stringify!($name), &self.$name)),*]
            }
        }
    };
}

prices! {
    /// API Gateway: messages in and out.
    api_gateway_messages,
    /// API Gateway: connection minutes.
    api_gateway_minutes,
    /// Lambda: requests.
    lambda_requests,
    /// Lambda: GB-seconds on arm64.
    lambda_arm_gb_seconds,
    /// Lambda: GB-seconds on `x86_64`.
    lambda_x86_gb_seconds,
    /// `DynamoDB`: write units.
    dynamodb_writes,
    /// `DynamoDB`: read units.
    dynamodb_reads,
    /// `DynamoDB`: storage.
    dynamodb_storage,
    /// SQS: requests to standard queues.
    sqs_standard,
    /// SQS: requests to FIFO queues.
    sqs_fifo,
    /// `AppSync` Events: operations.
    appsync_operations,
    /// `AppSync` Events: connection minutes.
    appsync_minutes,
}

impl Prices {
    /// The list of this version.
    ///
    /// # Panics
    ///
    /// Never: a test reads the file.
    pub fn list() -> Self {
        serde_json::from_str(include_str!("../prices.json")).expect("a test reads it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_has_a_source_and_a_date() {
        for (name, price) in Prices::list().all() {
            assert!(price.usd > 0.0 && price.per > 0.0, "{name}");
            assert!(
                price.source.starts_with("https://aws.amazon.com/"),
                "{name}"
            );
            assert!(price.checked.contains("20"), "{name}");
        }
    }
}
