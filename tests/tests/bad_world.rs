//! A bad world: the store in use, the state directory closed, the socket taken, the disk full.
//!
//! Not bad requests. What must hold: one sentence with a code and an exit code, never a panic; when the world is repaired, the host goes on.

use serde_json::json;
use sexton_tests::{HostProcess, Placement, SOON, Site, am_root, in_millis, until};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_second_host_on_the_store_is_refused() {
    let site = Site::new(Placement::Runner);
    let mut first = HostProcess::start(&site);
    let other_socket = site.path().join("other.sock");
    let said = HostProcess::refused(&site, |command| {
        command.arg("--socket").arg(&other_socket);
    });
    let said = said.refused("STO001");
    assert!(said.stderr.contains(&first.pid().to_string()) || said.stderr.contains("host"), "it does not say who: {said}");
    assert!(first.alive());
    site.sexton(&["event", "schedule", "sexton.noop", "--in", "0s"]).fine();
    first.kill();
    // Nothing of the dead host stands in the way.
    let _second = HostProcess::start(&site);
    site.sexton(&["event", "list"]).fine();
}

#[test]
fn a_socket_in_use_is_refused_and_a_left_over_one_is_not() {
    let site = Site::new(Placement::Runner);
    let mut first = HostProcess::start(&site);
    let rival = Site::new(Placement::Runner);
    let said = HostProcess::refused(&rival, |command| {
        command.arg("--socket").arg(site.socket());
    });
    said.refused("HST002").saying(site.socket().to_str().expect("text"));
    assert!(first.alive());
    site.sexton(&["status"]).fine();
    first.kill();
    assert!(site.socket().exists(), "a killed host leaves its socket behind");
    let _second = HostProcess::start(&site);
    site.sexton(&["status"]).fine();
}

#[test]
fn state_directory_and_socket_are_ours_alone() {
    let site = Site::new(Placement::Runner);
    let _host = HostProcess::start(&site);
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&site.state()), mode(&site.socket())), (0o700, 0o600));
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    if !am_root() {
        let site = Site::new(Placement::Runner);
        std::fs::set_permissions(site.state(), std::fs::Permissions::from_mode(0o500)).expect("ours");
        let _ = HostProcess::refused(&site, |_| {}).refused("HST001");
        return;
    }
    // Root can write everywhere: run it as nobody.
    let site = Site::new(Placement::Runner);
    std::fs::set_permissions(site.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    std::fs::set_permissions(site.state(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let binary = site.path().join("sexton");
    std::fs::copy(sexton_tests::binary(), &binary).expect("the site can be written");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary).arg("serve");
    command.arg("--state").arg(site.state()).arg("--plugins").arg(site.plugins.path()).env("NO_COLOR", "1").current_dir("/");
    let output = command.output().expect("setpriv is part of Debian's util-linux");
    let said = sexton_tests::Said::new("serve".to_owned(), &output).refused("HST001");
    assert!(said.stderr.contains(site.state().to_str().expect("text")), "{said}");
}

#[test]
fn tcp_is_refused_until_there_is_access_control() {
    let site = Site::new(Placement::Runner);
    let said = HostProcess::refused(&site, |command| {
        command.args(["--listen", "127.0.0.1:0"]);
    });
    let _ = said.refused("HST003").saying("socket");
}

/// A small file system of its own; gone when dropped.
struct Small {
    site: Site,
}

impl Small {
    /// None if this machine does not let us mount.
    fn mount(kib: u32) -> Option<Self> {
        let site = Site::new(Placement::Runner);
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"]).arg(site.state()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { site })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a host that is still ending may hold files.
        let _ = Command::new("umount").arg("-l").arg(self.site.state()).status();
    }
}

#[test]
fn a_full_disk_refuses_new_events_and_recovers() {
    let Some(small) = am_root().then(|| Small::mount(8 * 1024)).flatten() else {
        println!("not run: needs root and the right to mount");
        return;
    };
    let site = &small.site;
    let mut host = HostProcess::start(site);
    let id = site.schedule(&json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(0)}}));
    assert_eq!(site.run_of(&id)["outcome"], "succeeded");
    let ballast = site.state().join("ballast");
    let fill = || {
        let mut file = std::fs::File::options().create(true).append(true).open(&ballast).expect("ours");
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    };
    fill();
    let wish = json!({"event_type": "sexton.noop", "schedule": {"once": in_millis(3_600_000)}, "description": "x".repeat(4_000)});
    let wishes = format!("{wish}\n").repeat(50);
    let refused = until("the store has no room", SOON, || {
        let said = site.sexton_reading(&["event", "schedule", "--from", "-"], &wishes);
        fill();
        (said.code != Some(0)).then_some(said)
    });
    let _ = refused.refused("STO002");
    assert!(host.alive());
    site.sexton(&["event", "list"]).fine();
    site.sexton(&["status"]).fine();
    std::fs::remove_file(&ballast).expect("ours");
    let id = until("there is room again", SOON, || {
        let said = site.sexton(&["event", "schedule", "sexton.noop", "--in", "0s", "--output", "json"]);
        (said.code == Some(0)).then(|| said.json()["id"].as_str().expect("an id is text").to_owned())
    });
    assert_eq!(site.run_of(&id)["outcome"], "succeeded");
    assert!(host.alive());
    assert!(host.stop().success());
}
