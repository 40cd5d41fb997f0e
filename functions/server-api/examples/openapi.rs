//! Prints the OpenAPI document: `cargo run -p server-api --example openapi > docs/openapi.json`.

fn main() -> serde_json::Result<()> {
    println!("{}", server_api::openapi::document().to_pretty_json()?);
    Ok(())
}
