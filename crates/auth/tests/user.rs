//! Which user a subject is: as Python's `uuid.uuid5` makes it, and never the same for two.

#![cfg(test)]

use proptest::prelude::*;
use stageflow_auth::user_of;
use stageflow_context::UserId;

/// `uuid5(uuid5(UUID("c9b6e880-c496-4866-9c4b-8b6523a9b7a8"), issuer), subject).hex`
const OF_PYTHON: [(&str, &str, &str); 9] = [
    (
        "https://id.example.org",
        "auth0|ada",
        "0a4b32c25b4f5d0da8cb7504b4840315",
    ),
    (
        "https://id.example.org",
        "ada@example.org",
        "b2fac6e668ab53c7b75da4b9d0fec4b4",
    ),
    (
        "https://id.example.org/",
        "auth0|ada",
        "db7640b04e5555a585203e95e3e845c9",
    ),
    ("", "nightly-import", "d38a316bec7659a9848e1e9e1eeadfd7"),
    (
        "https://bücher.example",
        "Ädä\n\\\"",
        "52da1b9acb9c55108677752031b3c6b2",
    ),
    // What is nearly an id is none.
    (
        "https://id.example.org",
        "00000000-0000-0000-0000-000000000000",
        "fbf5d2c517d15f8f8a4d4238e3c88013",
    ),
    (
        "https://id.example.org",
        "usr_",
        "cb69c32420675593bfa5919d5d2a0010",
    ),
    // Nor is what is made of a subject.
    (
        "https://id.example.org",
        "0a4b32c2-5b4f-5d0d-a8cb-7504b4840315",
        "0a6e258781bc534aa574970476ef076d",
    ),
    ("a", "", "3ace5c768c8254ef8eee7aaea0271ead"),
];

#[test]
fn a_subject_is_the_user_that_other_tools_make_of_it() {
    for (issuer, subject, expected) in OF_PYTHON {
        let user = user_of(issuer, subject);
        assert_eq!(user.to_string(), format!("usr_{expected}"), "{subject}");
    }
    let long = "x".repeat(255);
    let user = user_of("i", &long).to_string();
    assert_eq!(user, "usr_7e1a8f9d46e55d568faccf60499f0bb0");
    assert_eq!(
        user_of(None, "nightly-import"),
        user_of("", "nightly-import")
    );
}

#[test]
fn a_subject_that_is_an_id_is_that_user_whoever_says_so() {
    let user: UserId = "usr_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d".parse().unwrap();
    let spelled = [
        user.to_string(),
        user.as_uuid().to_string(),
        user.as_uuid().simple().to_string(),
    ];
    for subject in spelled {
        assert_eq!(user_of("https://id.example.org", &subject), user);
        assert_eq!(user_of(None, &subject), user);
    }
}

proptest! {
    /// One text, cut into issuer and subject in two places: who writes them one after the other takes them for the same.
    #[test]
    fn two_are_the_same_user_only_if_they_are_the_same(text in "[a:|/0]{0,6}", one in 0_usize..7, other in 0_usize..7) {
        let cut = |place: usize| text.split_at(place.min(text.len()));
        let user = |(issuer, subject)| user_of(issuer, subject);
        prop_assert_eq!(user(cut(one)) == user(cut(other)), cut(one) == cut(other));
    }

    #[test]
    fn nobody_becomes_somebody_else_by_their_name(issuer in "[a-c]{0,2}", subject in "[a-z|@.]{1,9}") {
        let user = user_of(&*issuer, &subject);
        let spelled = [
            user.to_string(),
            user.as_uuid().to_string(),
            user.as_uuid().to_string().to_uppercase(),
        ];
        for name in spelled {
            prop_assert_ne!(user_of(&*issuer, &name), user);
        }
    }
}
