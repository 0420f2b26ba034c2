//! What a client says that cannot be done as it is.

/// What a client says that cannot be done as it is. The texts are for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Invalid {
    #[error(
        "a document's name has 1 to 100 letters, digits, `.`, `-` and `_`, and ends like one that can be read, such as `.md` or `.txt`"
    )]
    Name,
    #[error("a document is not empty")]
    Empty,
    #[error("a document is text, in UTF-8")]
    NotText,
    #[error("there is room for {0} documents: delete some first")]
    TooMany(usize),
}
