//! A stack as CloudFormation knows it, whole.

use std::collections::HashMap;

use aws_sdk_cloudformation::Client;
use aws_types::SdkConfig;

use crate::failure::Failure;

/// A resource of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its name in the template.
    pub(crate) logical: String,
    /// Its name in AWS.
    pub(crate) physical: String,
    /// Such as `AWS::Lambda::Function`.
    pub(crate) kind: String,
    /// Such as `CREATE_COMPLETE`.
    pub(crate) status: String,
}

/// A deployed stack.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Its name.
    pub(crate) name: String,
    /// Such as `UPDATE_COMPLETE`.
    pub(crate) status: String,
    /// Outputs and parameters.
    pub(crate) values: HashMap<String, String>,
    /// Its resources.
    pub(crate) resources: Vec<Resource>,
}

impl Deployment {
    /// The resources of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |one| one.kind == kind)
    }
}

/// The resources of a stack.
///
/// # Errors
///
/// [`Failure`] of CloudFormation.
pub(super) async fn resources(config: &SdkConfig, stack: &str) -> Result<Vec<Resource>, Failure> {
    let client = Client::new(config);
    let (mut resources, mut next) = (Vec::new(), None);
    loop {
        let answer = client
            .list_stack_resources()
            .stack_name(stack)
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| Failure::aws("reading the resources of the stack", &error))?;
        let found = answer.stack_resource_summaries.unwrap_or_default();
        resources.extend(found.into_iter().filter_map(|resource| {
            Some(Resource {
                logical: resource.logical_resource_id?,
                physical: resource.physical_resource_id.unwrap_or_default(),
                kind: resource.resource_type?,
                status: resource.resource_status?.as_str().to_owned(),
            })
        }));
        next = answer.next_token;
        if next.is_none() {
            return Ok(resources);
        }
    }
}
