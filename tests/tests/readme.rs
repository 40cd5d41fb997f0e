//! What the READMEs show is what the tests run.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the programs that a page shows, each of which is what its file is.
fn programs(page: &str) -> Vec<String> {
    let page = read(page);
    let mut shown = Vec::new();
    for part in page.split("<!-- docs/snippets/").skip(1) {
        let (name, rest) = part
            .split_once(" -->\n")
            .expect("a marker in a line of its own");
        let (_language, rest) = rest
            .strip_prefix("```")
            .and_then(|rest| rest.split_once('\n'))
            .expect("a block");
        let (code, _) = rest.split_once("\n```").expect("the block's end");
        assert_eq!(
            format!("{code}\n"),
            read(&format!("docs/snippets/{name}")),
            "{name} differs: copy it into the page"
        );
        shown.push(name.to_owned());
    }
    shown.sort();
    shown
}

#[test]
fn its_programs_are_the_files_that_are_tested() {
    let expected = [
        "connect.html",
        "connect.jsx",
        "enqueue.mjs",
        "enqueue.py",
        "enqueue.rb",
        "mint.mjs",
        "mint.py",
        "mint.rb",
        "mint.rs",
        "publish.sh",
    ];
    assert_eq!(programs("README.md"), expected);
    assert_eq!(programs("docs/server-api.md"), ["server-api.sh"]);
    let of_the_client = ["connect.html", "connect.jsx"];
    assert_eq!(programs("clients/js/README.md"), of_the_client);
}

#[test]
fn it_has_a_line_to_invoke_every_event() {
    let readme = read("README.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("events");
    let mut events = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".json") && name != "env.json" {
            assert!(
                readme.contains(&format!("-e events/{name} ")),
                "events/{name} has no `sam local invoke` line"
            );
            events += 1;
        }
    }
    assert!(events >= 10);
}
