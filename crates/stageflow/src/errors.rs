//! The error pages.
