//! `#[action]` in the wrong shapes.
use sexton_plugin_api::prelude::*;

#[action(bulk)]
fn no_id(_: &Bot, _: &Value, _: &[Resource]) -> ActionResult {
    Ok(())
}

#[action("acme", bulk)]
fn bad_id(_: &Bot, _: &Value, _: &[Resource]) -> ActionResult {
    Ok(())
}

#[action("acme.action.one", accepts_complement)]
fn complement_of_one(_: &Bot, _: &Value, _: &[Resource], _: &[Resource]) -> ActionResult {
    Ok(())
}

#[action("acme.action.two", bulk, accepts_complement)]
fn too_few(_: &Bot, _: &Value, _: &[Resource]) -> ActionResult {
    Ok(())
}

#[action("acme.action.three", bluk)]
fn misspelt(_: &Bot, _: &Value, _: &[Resource]) -> ActionResult {
    Ok(())
}
