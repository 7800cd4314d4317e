//! seccomp: the system calls that a plugin under a capability list does not get. They fail, they do not kill.
//!
//! Not which files: a filter sees numbers, not names; that is Landlock's. What must hold: no call that reaches past the process is let
//! through under another number: those of the x32 interface and those that are newer than this list are answered as unknown, those of another
//! architecture end the process.

use super::files::Reach;
use super::{Applied, Capabilities};
use crate::rejection::Rejection;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
    sock_filter,
};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The newest call that was looked at (`mseal`); numbers from here on are the same on every architecture.
const NEWEST: u32 = 462;

/// Denied under every list: other processes, the machine, names and rights of files that Landlock does not guard, new kernel surface.
const NEVER: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_mknodat,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];
const SYS_FCHMODAT2: i64 = 452;
const F_SETOWN_EX: i32 = 15;

/// The same, where there are older or further names for it.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[i64] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[i64] = &[libc::SYS_kexec_file_load];

/// New processes and programs, but for `clone`, which makes threads as well.
#[cfg(target_arch = "x86_64")]
const PROCESSES: &[i64] = &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_execve, libc::SYS_execveat];
#[cfg(not(target_arch = "x86_64"))]
const PROCESSES: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

/// Calls that name a process, with the argument that does.
const ON_A_PROCESS: [(i64, u8); 7] = [
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
];

/// Signals to a process by its number.
const SIGNALS: [(i64, u8); 4] =
    [(libc::SYS_kill, 0), (libc::SYS_tgkill, 0), (libc::SYS_rt_sigqueueinfo, 0), (libc::SYS_rt_tgsigqueueinfo, 0)];

/// Takes the calls away for good. Called by [`super::apply`] last: it needs some of them itself.
pub(super) fn restrict(list: &Capabilities, reach: Reach, to: &mut Applied) -> Result<(), Rejection> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| cannot_be_kept(&e.to_string()))?;
    let own = u64::from(std::process::id());
    let rules = rules(list, reach, own).map_err(|e| cannot_be_kept(&e.to_string()))?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).and_then(BpfProgram::try_from);
    let filter = filter.map_err(|e| cannot_be_kept(&e.to_string()))?;
    for program in [&unknown_calls()[..], &filter[..]] {
        apply_filter(program).map_err(|e| cannot_be_kept(&e.to_string()))?;
    }
    to.enforced.push(format!("network: {} (seccomp)", if list.network { "internet sockets" } else { "none" }));
    to.enforced.push(format!("processes: {} (seccomp)", if list.processes { "its own, confined likewise" } else { "none" }));
    to.enforced.push("nothing that changes other processes or the machine (seccomp)".to_owned());
    if reach.signals_stay_within {
        to.enforced.push("signals: to itself and its children only (Landlock)".to_owned());
    } else if list.processes {
        to.not_enforced.push("signals to processes of the same user: needs Linux 6.12, or `processes = false`".to_owned());
    } else {
        to.enforced.push("signals: to itself only (seccomp)".to_owned());
    }
    Ok(())
}

fn rules(list: &Capabilities, reach: Reach, own: u64) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
    let mut deny = |call: i64, conditions: Vec<SeccompCondition>| -> Result<(), seccompiler::BackendError> {
        let of_call = rules.entry(call).or_default();
        if !conditions.is_empty() {
            of_call.push(SeccompRule::new(conditions)?);
        }
        Ok(())
    };
    for call in NEVER.iter().chain(NEVER_HERE) {
        deny(*call, vec![])?;
    }
    // By name; by descriptor (NULL) it is for files that could be opened.
    deny(libc::SYS_utimensat, vec![argument(1, SeccompCmpOp::Ne, 0)?])?;
    if list.write.is_empty() {
        deny(libc::SYS_fchmod, vec![])?;
    }
    for (call, at) in ON_A_PROCESS {
        deny(call, vec![argument(at, SeccompCmpOp::Ne, 0)?, argument(at, SeccompCmpOp::Ne, own)?])?;
    }
    if list.network {
        let families = [libc::AF_INET, libc::AF_INET6];
        let others = families.iter().map(|family| argument(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
        deny(libc::SYS_socket, others.collect::<Result<_, _>>()?)?;
    } else {
        deny(libc::SYS_socket, vec![])?;
    }
    deny(libc::SYS_socketpair, vec![argument(0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.unsigned_abs()))?])?;
    let others = paired().into_iter().map(|kind| argument(1, SeccompCmpOp::Ne, kind));
    deny(libc::SYS_socketpair, others.collect::<Result<_, _>>()?)?;
    if list.processes {
        for flag in ELSEWHERE {
            let flag = u64::from(flag.unsigned_abs());
            deny(libc::SYS_clone, vec![argument(0, SeccompCmpOp::MaskedEq(flag), flag)?])?;
        }
    } else {
        for call in PROCESSES {
            deny(*call, vec![])?;
        }
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        deny(libc::SYS_clone, vec![argument(0, SeccompCmpOp::MaskedEq(thread), 0)?])?;
    }
    if !reach.signals_stay_within && !list.processes {
        for (call, at) in SIGNALS {
            deny(call, vec![argument(at, SeccompCmpOp::Ne, own)?])?;
        }
        // A signal that the kernel sends for a descriptor.
        for command in [libc::F_SETOWN, F_SETOWN_EX] {
            deny(libc::SYS_fcntl, vec![argument(1, SeccompCmpOp::Eq, u64::from(command.unsigned_abs()))?])?;
        }
        deny(libc::SYS_tkill, vec![])?;
        deny(libc::SYS_pidfd_send_signal, vec![])?;
    }
    Ok(rules)
}

/// A process that `clone` puts elsewhere than below this one: into a namespace where it is root, or beside it.
const ELSEWHERE: [i32; 8] = [
    libc::CLONE_PARENT,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Sockets that may come in pairs: with a connection. One for datagrams could be pointed at any socket of this machine that has a name.
fn paired() -> [u64; 8] {
    let with = |kind: i32, flags: i32| u64::from((kind | flags).unsigned_abs());
    let (stream, packets) = (libc::SOCK_STREAM, libc::SOCK_SEQPACKET);
    let [none, exec, block] = [0, libc::SOCK_CLOEXEC, libc::SOCK_NONBLOCK];
    let of = |kind| [with(kind, none), with(kind, exec), with(kind, block), with(kind, exec | block)];
    let ([a, b, c, d], [e, f, g, h]) = (of(stream), of(packets));
    [a, b, c, d, e, f, g, h]
}

/// All arguments that are looked at are numbers of 32 bits, or their lower half is what the kernel looks at.
fn argument(at: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, is, value)
}

/// A filter of its own, since one filter gives one answer: "no such call" for `clone3`, whose flags lie in memory where no filter sees them
/// (the C library then takes `clone`), for calls newer than this list, and for the x32 interface, whose numbers have a high bit.
fn unknown_calls() -> [sock_filter; 5] {
    let jump = |code: u32, k: u32, jt: u8| sock_filter { code: u16::try_from(code).expect("operations have 16 bits"), jt, jf: 0, k };
    let statement = |code: u32, k: u32| jump(code, k, 0);
    let clone3 = u32::try_from(libc::SYS_clone3).expect("calls have small numbers");
    [
        // The number of the call lies first.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, clone3, 2),
        jump(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, NEWEST, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]
}

fn cannot_be_kept(found: &str) -> Rejection {
    Rejection::new("PLG061", "the plugin's capability list cannot be kept on this machine")
        .expected("a kernel with seccomp filters, on x86-64 or 64-bit ARM")
        .found(found)
        .remedy("run the host where `seccomp` is allowed, or remove `[capabilities]` from the plugin's settings file: it then runs with the rights of its user")
}
