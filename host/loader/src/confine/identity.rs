//! As whom a runner runs: the switch to another user, and the privileges of root that a declared list leaves.
//!
//! What must hold: after the switch nothing of the former user can be had back, and that is looked at, not assumed.

use super::Capabilities;
use crate::rejection::Rejection;
use rustix::fs::Uid;
use rustix::process::{
    DumpableBehavior, Gid, getegid, geteuid, getgid, getgroups, getppid, getuid, parent_process_death_signal, set_dumpable_behavior,
    set_parent_process_death_signal,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, no_new_privs, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid, set_thread_uid,
};
use std::ffi::CString;

/// Greatest entry of the user database that is read, in bytes.
const ENTRY_MAX: usize = 1 << 20;
/// Greatest number of groups of a user: the kernel's own.
const GROUPS_MAX: usize = 65536;

/// A user of this machine.
pub(super) struct User {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl User {
    /// Looks a user up who may be switched to from here.
    pub(super) fn find(name: &str) -> Result<Self, Rejection> {
        let refused = |why: String| Rejection::new("PLG060", format!("the plugin cannot run as `{name}`: {why}"));
        if !geteuid().is_root() {
            return Err(refused("the host may not change users".to_owned())
                .expected("a host that was started as root")
                .found(format!("a host that runs under uid {}", geteuid().as_raw()))
                .remedy("start the host as root, or remove `run_as` from the plugin's settings file"));
        }
        let (uid, gid, groups) =
            look_up(name).map_err(|e| refused(format!("the user database does not answer: {e}")))?.ok_or_else(|| {
                refused("there is no such user".to_owned())
                    .expected("the name of a user of this machine")
                    .found("no entry in the user database")
                    .remedy(format!("create it (`useradd --system {name}`), or correct `run_as` in the plugin's settings file"))
            })?;
        if uid == 0 {
            return Err(refused("that is root, which the host is already".to_owned())
                .expected("a user with fewer rights than the host")
                .found("uid 0")
                .remedy("name a user of the plugin's own, or remove `run_as` from its settings file"));
        }
        let groups = groups.into_iter().map(Gid::from_raw).collect();
        Ok(Self { name: name.to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Becomes that user for good. Called by [`super::apply`] in the runner's child.
    pub(super) fn switch(&self) -> Result<(), Rejection> {
        let refused = |step: &str, found: String| {
            Rejection::new("PLG060", format!("the plugin cannot run as `{}`: {step}", self.name))
                .expected("a host with the privileges CAP_SETUID and CAP_SETGID")
                .found(found)
                .remedy("give the host's service these privileges, or remove `run_as` from the plugin's settings file")
        };
        // The kernel forgets this signal when the user changes.
        let (parent, at_death) = (getppid(), parent_process_death_signal().unwrap_or(None));
        set_thread_groups(&self.groups).map_err(|e| refused("its groups cannot be set", e.to_string()))?;
        set_thread_res_gid(self.gid, self.gid, self.gid).map_err(|e| refused("its group cannot be set", e.to_string()))?;
        set_thread_res_uid(self.uid, self.uid, self.uid).map_err(|e| refused("its number cannot be set", e.to_string()))?;
        // What may be inherited by programs is not cleared by the switch.
        clear_ambient_capability_set().map_err(|e| refused("privileges are left", e.to_string()))?;
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).map_err(|e| refused("privileges are left", e.to_string()))?;
        // Else a program with the set-user-id bit gives root back.
        set_no_new_privs(true).map_err(|e| refused("privileges may be gained again", e.to_string()))?;
        self.must_be_final().map_err(|found| refused("the switch can be undone", found))?;
        // Else what is in /proc/self belongs to root.
        set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(|e| refused("/proc/self stays closed", e.to_string()))?;
        set_parent_process_death_signal(at_death).map_err(|e| refused("it would outlive the host", e.to_string()))?;
        if getppid() != parent {
            return Err(Rejection::new("PLG063", "the host ended while the plugin's process was being confined"));
        }
        Ok(())
    }

    /// Looks whether anything of the former user is left; says what.
    fn must_be_final(&self) -> Result<(), String> {
        let mut groups = getgroups().map_err(|e| e.to_string())?;
        let mut wanted = self.groups.clone();
        groups.sort_by_key(|gid| gid.as_raw());
        wanted.sort_by_key(|gid| gid.as_raw());
        wanted.dedup();
        if groups != wanted {
            return Err(format!("groups {groups:?} instead of {wanted:?}"));
        }
        if [getuid(), geteuid()] != [self.uid; 2] || [getgid(), getegid()] != [self.gid; 2] {
            return Err(format!("uid {:?}, gid {:?}", geteuid(), getegid()));
        }
        let left = capabilities(None).map_err(|e| e.to_string())?;
        if !(left.permitted | left.effective | left.inheritable).is_empty() {
            return Err(format!("the privileges {:?} are left", left.permitted));
        }
        if !no_new_privs().map_err(|e| e.to_string())? {
            return Err("a program that it starts may gain privileges".to_owned());
        }
        match set_thread_uid(Uid::ROOT) {
            Err(_) => Ok(()),
            Ok(()) => Err("it could become root again".to_owned()),
        }
    }
}

/// Gives up every privilege of root but those that open files, and the ports below 1024 if it may use the network; and forbids to gain any by
/// starting a program. Called by [`super::apply`] under a capability list: what the list says would otherwise be what root may lift again.
pub(super) fn keep_few_privileges(list: &Capabilities) -> Result<(), Rejection> {
    let refused = |e: rustix::io::Errno| {
        Rejection::new("PLG061", format!("the plugin's capability list cannot be kept: privileges cannot be given up: {e}"))
            .expected("a kernel that lets a process give up privileges")
            .found(e.to_string())
            .remedy("run the host where `prctl` and `capset` are allowed, or remove `[capabilities]` from the plugin's settings file")
    };
    let ports = if list.network { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let now = capabilities(None).map_err(refused)?;
    let kept = |set: CapabilitySet| set & (files | ports);
    set_no_new_privs(true).map_err(refused)?;
    clear_ambient_capability_set().map_err(refused)?;
    let sets = CapabilitySets { effective: kept(now.effective), permitted: kept(now.permitted), inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(refused)
}

/// Number, group and all groups of a user.
fn look_up(name: &str) -> std::io::Result<Option<(u32, u32, Vec<u32>)>> {
    let Ok(text) = CString::new(name) else { return Ok(None) };
    let mut buffer = vec![0; 16 * 1024];
    let (uid, gid) = loop {
        let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: the name ends in NUL; entry and buffer are writable for the lengths told and outlive the use of `entry` below.
        let error = unsafe { libc::getpwnam_r(text.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
        match error {
            libc::ERANGE if buffer.len() < ENTRY_MAX => buffer.resize(buffer.len() * 4, 0),
            // POSIX lets "no such user" be told in any of these ways.
            0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: `found` points to `entry`, which the call has filled.
                let entry = unsafe { entry.assume_init_ref() };
                break (entry.pw_uid, entry.pw_gid);
            }
            error => return Err(std::io::Error::from_raw_os_error(error)),
        }
    };
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).expect("bounded by GROUPS_MAX");
        // SAFETY: the name ends in NUL and `groups` is writable for `count` entries.
        let fits = unsafe { libc::getgrouplist(text.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) } >= 0;
        if fits {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(Some((uid, gid, groups)));
        }
        if groups.len() >= GROUPS_MAX {
            return Err(std::io::Error::other("the user is in too many groups"));
        }
        groups.resize(groups.len() * 4, 0);
    }
}
