//! The OpenAPI document.

use axum::http::Method;
use serde_json::Value;

use crate::support::Backend;

fn document() -> Value {
    serde_json::to_value(server_api::openapi::document()).unwrap()
}

#[test]
fn the_document_is_current() {
    let checked_in: Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    assert!(
        document() == checked_in,
        "docs/openapi.json is old: cargo run -p server-api --example openapi > docs/openapi.json"
    );
    assert_eq!(checked_in["openapi"], "3.1.0");
}

#[tokio::test]
async fn each_operation_of_the_document_has_a_route_and_each_route_an_operation() {
    let backend = Backend::default();
    let document = document();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let answer = backend
                .ask(method.as_str(), &path.replace(['{', '}'], ""))
                .await;
            let documented = operations.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(answer.status != 405, documented, "{method} {path}");
            assert!(!answer.text.contains("\"not_found\""), "{method} {path}");
        }
    }
}

#[test]
fn each_kind_of_problem_is_explained() {
    let page = include_str!("../../../../docs/server-api.md").to_lowercase();
    let codes = document()["components"]["schemas"]["Code"]["enum"].take();
    let codes = codes.as_array().unwrap();
    assert!(codes.len() >= 10);
    for code in codes {
        let code = code.as_str().unwrap();
        let heading = format!("\n### {}\n\n`{code}`, ", code.replace('_', " "));
        assert!(page.contains(&heading), "{heading}");
    }
}

/// The numbers in the document's words and attributes are the ones of the code.
#[test]
fn limits_are_stated() {
    let text = document().to_string();
    for limit in [
        "at most 2 MiB",
        "batch 100 messages",
        "\"maxItems\":100",
        "\"maximum\":1000",
        "\"maximum\":86400",
    ] {
        assert!(text.contains(limit), "{limit}");
    }
}
