//! Configuration from environment variables: read once at the start, and refused by name.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// A variable is missing or wrong. Its value is never shown.
#[derive(PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set, or empty.
    #[error("the environment variable {0} is not set")]
    Missing(String),
    /// The variable cannot be read.
    #[error("the environment variable {name} is wrong: {reason}")]
    Wrong {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// `main` prints the error that it returns with `Debug`: the sentence is what an operator needs.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The environment variables of the process. An empty one counts as not set.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The variables that the process was started with.
    pub fn from_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The variable `name`, if it is set.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variable `name`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`].
    pub fn required(&self, name: &str) -> Result<&str, ConfigError> {
        self.optional(name)
            .ok_or_else(|| ConfigError::Missing(name.to_owned()))
    }

    /// The variable `name` as a `T`, if it is set.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Wrong`] where it is set but no `T`.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, ConfigError> {
        let parse = |value: &str| {
            value.parse().map_err(|error: T::Err| ConfigError::Wrong {
                name: name.to_owned(),
                reason: error.to_string(),
            })
        };
        self.optional(name).map(parse).transpose()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flaw: another environment name for the same table, never defined.
    #[test]
    fn a_missing_variable_is_named() {
        let environment = Environment::from([("EMPTY", ""), ("N", "x")]);
        assert_eq!(
            environment.required("EMPTY").unwrap_err().to_string(),
            "the environment variable EMPTY is not set"
        );
        let error = environment.parsed::<u32>("N").unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            "the environment variable N is wrong: invalid digit found in string"
        );
        assert_eq!(environment.parsed::<u32>("OTHER").unwrap(), None);
    }
}
