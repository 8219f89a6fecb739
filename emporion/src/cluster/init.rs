//! `emporion cluster init`: makes the engine of a folder the first node of a cluster. What is in the folder stays.

use super::args::InitArgs;
use crate::fail::Fail;

pub(crate) fn run(args: &InitArgs) -> Result<(), Fail> {
    let file = engine::node::init(&args.data, &args.place.place()).map_err(|error| Fail::of(&error))?;
    println!(
        "{} is node {} of a new cluster, `{}`. Start it: emporion engine --data {0}\nFurther nodes: emporion cluster invite --data {0} --for node --out FILE",
        args.data.display(),
        file.node.0,
        file.place.name
    );
    Ok(())
}
