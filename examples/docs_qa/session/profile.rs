//! What the reader prefers: an optional JSON file.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A profile is a handful of words.
const MOST_BYTES: u64 = 64 << 10;
const MOST_PREFERENCES: usize = 64;

/// Prefers some folders and words, and sets the length of answers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    pub(crate) name: Option<String>,
    /// Folders (or files) below the root whose passages are preferred.
    pub(crate) folders: Vec<String>,
    /// Words whose passages are preferred.
    pub(crate) terms: Vec<String>,
    /// Sentences in an answer at most.
    pub(crate) sentences: Option<NonZeroUsize>,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProfileError {
    #[error("cannot read the profile `{}`: check --profile", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the profile `{}` is longer than {MOST_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    #[error(
        "the profile `{}` is not what it should be: write {{\"name\": .., \"folders\": [..], \"terms\": [..], \
         \"sentences\": 3}}", .path.display()
    )]
    Malformed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the profile `{}` has more than {MOST_PREFERENCES} folders or terms", .0.display())]
    TooMany(PathBuf),
}

/// Reads a profile; without a path, the one that prefers nothing.
pub(crate) fn load(path: Option<&Path>) -> Result<Profile, ProfileError> {
    let Some(path) = path else {
        return Ok(Profile::default());
    };
    let unreadable = |source| ProfileError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(ProfileError::TooLong(path.to_path_buf()));
    }
    let profile: Profile =
        serde_json::from_str(&text).map_err(|source| ProfileError::Malformed {
            path: path.to_path_buf(),
            source,
        })?;
    if profile.folders.len() > MOST_PREFERENCES || profile.terms.len() > MOST_PREFERENCES {
        return Err(ProfileError::TooMany(path.to_path_buf()));
    }
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Result<Profile, ProfileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        std::fs::write(&path, text).unwrap();
        load(Some(&path))
    }

    #[test]
    fn profiles_are_optional_and_checked() {
        assert_eq!(load(None).unwrap(), Profile::default());
        let known = profile(r#"{"name": "Ada", "folders": ["guide"], "sentences": 2}"#).unwrap();
        assert_eq!(
            (
                known.name.as_deref(),
                known.sentences.map(NonZeroUsize::get)
            ),
            (Some("Ada"), Some(2))
        );
        assert!(matches!(
            profile(r#"{"sentences": 0}"#),
            Err(ProfileError::Malformed { .. })
        ));
        assert!(matches!(
            profile(r#"{"nmae": "Ada"}"#),
            Err(ProfileError::Malformed { .. })
        ));
        assert!(matches!(
            load(Some(Path::new("/no/such.json"))),
            Err(ProfileError::Unreadable { .. })
        ));
    }
}
