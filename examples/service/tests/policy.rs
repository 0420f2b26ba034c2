//! Policies from a file: what they take away, and files that are none.

use clap::Parser as _;

use crate::cli::Arguments;
use crate::who_may_what;

fn arguments(policy: &str) -> Arguments {
    Arguments::parse_from(["service", "--policy", policy])
}

fn complaint(policy: &str) -> String {
    let made = who_may_what(&arguments(policy));
    made.err().unwrap().to_string()
}

#[cfg(not(feature = "cedar"))]
#[test]
fn without_the_feature_the_service_says_what_to_do() {
    let said = complaint("policies.cedar");
    assert!(
        said.contains("policies.cedar") && said.contains("--features cedar"),
        "{said}"
    );
}

#[cfg(feature = "cedar")]
mod cedar {
    use std::fs;
    use std::sync::Arc;

    use super::super::support::Setup;
    use super::{arguments, complaint};
    use crate::demo::{ACME, GLOBEX};
    use crate::who_may_what;

    #[tokio::test]
    async fn what_a_file_forbids_one_user_is_403_for_them_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policies.cedar");
        let forbids = format!(
            "permit(principal, action, resource);\n\
             forbid(principal == User::\"{}\", action == Action::\"kb:write\", resource);",
            ACME.user
        );
        fs::write(&file, forbids).unwrap();
        let policy = who_may_what(&arguments(file.to_str().unwrap())).unwrap();
        let running = Setup::new().policy(Arc::clone(&policy)).start().await;
        let text = "The gate opens at ten.";
        assert_eq!(running.put(ACME, "a.md", text).await.status(), 403);
        assert_eq!(running.put(GLOBEX, "a.md", text).await.status(), 204);
        assert_eq!(running.get(ACME, "/v1/documents").await.status(), 200);

        // What the token does not allow, no file adds.
        let reader = running.token_for(GLOBEX, "kb:read");
        let put = running.request(reqwest::Method::PUT, "/v1/documents/b.md");
        let put = put.bearer_auth(reader).body(text).send().await.unwrap();
        assert_eq!(put.status(), 403);
    }

    #[test]
    fn a_file_that_is_none_is_told_with_its_name_and_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policies.cedar");
        let path = file.to_str().unwrap();
        assert!(complaint(path).contains(path), "it is not there");
        fs::write(
            &file,
            "permit(principal, action, resource);\npermt(principal);",
        )
        .unwrap();
        let said = complaint(path);
        assert!(said.contains(path) && said.contains("SF0631"), "{said}");
        assert!(said.contains("line 2, column 1"), "{said}");
    }
}
