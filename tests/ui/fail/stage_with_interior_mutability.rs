use std::cell::RefCell;
use std::sync::Arc;

use stageflow::prelude::*;

struct Shout;

impl Stage for Shout {
    type Input = Arc<String>;
    type Output = RefCell<String>;

    async fn run(&self, _cx: StageCx, text: Arc<String>) -> Result<RefCell<String>, Stop> {
        Ok(RefCell::new(text.to_uppercase()))
    }
}

fn main() {}
