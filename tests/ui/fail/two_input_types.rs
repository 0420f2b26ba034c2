use stageflow::prelude::*;

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    let number = p.input::<u64>();
    println!("{text:?} {number:?}");
}
