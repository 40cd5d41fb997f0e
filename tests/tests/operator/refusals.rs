//! What every one of them says where it cannot begin.

use hermes_tests::command::{failed, hermes};

#[tokio::test]
async fn without_a_stack_or_with_other_credentials_it_says_what_to_do() {
    for command in [
        "rooms",
        "members r",
        "history r",
        "doctor",
        "tail",
        "kick r --user u",
        "bench --clients 1 --rate 1",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let mut missing = hermes(&arguments);
        missing.env("HERMES_STACK", "no-such-stack");
        let (code, said) = failed(missing).await;
        assert_eq!(code, 1, "{command}: {said}");
        assert!(said.contains("there is no stack no-such-stack"), "{said}");
        let mut denied = hermes(&arguments);
        denied.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
        let (code, said) = failed(denied).await;
        assert_eq!(code, 1, "{command}: {said}");
        assert!(said.contains("credentials"), "{command}: {said}");
    }
    for command in ["doctor", "tail"] {
        let mut unnamed = hermes(&[command]);
        unnamed.env("HERMES_STACK", "");
        let (code, said) = failed(unnamed).await;
        assert!(code == 2 && said.contains("--stack"), "{command}: {said}");
    }
}
