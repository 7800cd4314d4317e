//! A plugin whose table is laid out otherwise than the host's.
//!
//! What must hold: name, section and entry are right, so that only the layout check can refuse it.
#![allow(non_camel_case_types, missing_docs, reason = "made by abi_stable's derive: `_Ref` types and their fields")]

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;

#[used]
#[unsafe(link_section = ".sexton.identity")]
static IDENTITY: [u8; 109] =
    *br#"{"plugin":"fx-layout","version":"0.1.0","api_major":1,"api_minor":0,"rustc":"rustc 1.95.0","panic":"unwind"} "#;

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRoot_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    #[sabi(last_prefix_field)]
    pub identity: extern "C" fn() -> u64,
}

impl abi_stable::library::RootModule for PluginRoot_Ref {
    abi_stable::declare_root_module_statics! {PluginRoot_Ref}
    const BASE_NAME: &'static str = "sexton_plugin";
    const NAME: &'static str = "sexton_plugin";
    const VERSION_STRINGS: abi_stable::sabi_types::VersionStrings = abi_stable::package_version_strings!();
}

const ROOT: &WithMetadata<PluginRoot> = &WithMetadata::new(PluginRoot { identity });

extern "C" fn identity() -> u64 {
    1
}

fn root() -> PluginRoot_Ref {
    PluginRoot_Ref(ROOT.static_as_prefix())
}

extern "C" fn construct() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
// SAFETY: `construct` gives a `PluginRoot_Ref`.
static HEADER: LibHeader = unsafe { LibHeader::from_constructor::<PluginRoot_Ref>(construct, CheckTypeLayout::Yes) };
