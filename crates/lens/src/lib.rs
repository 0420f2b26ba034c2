//! Looks at what Stageflow runs left behind: stories, wide events, checks, drawings, a live view.
