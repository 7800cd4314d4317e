//! `#[plugin]` in the wrong shapes.
use sexton_plugin_api::prelude::*;

#[plugin(name = "Fx Counter")]
fn load(_: &Host) -> Result<(), PluginError> {
    Ok(())
}

#[plugin]
fn start(_: &Host) -> Result<(), PluginError> {
    Ok(())
}

#[plugin(nmae = "x")]
fn unload(_: &Host) -> Result<(), PluginError> {
    Ok(())
}

mod other {
    use super::*;

    #[plugin]
    fn load() {}
}
