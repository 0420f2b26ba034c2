use stageflow::prelude::*;

struct Index;

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("retrieve", Index).after(text);
}
