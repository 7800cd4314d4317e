//! What the tests stand on: fixture files, a directory of generations, and one generation with its two queues.
//!
//! What must hold: every wait has a deadline, and what came instead is shown.

use serde_json::{Value, json, value::RawValue};
use sexton_loader::confine::Confinement;
use sexton_loader::generation::{Opening, open_in_process};
use sexton_loader::inspect::{Inspected, Rules, adopt, inspect};
use sexton_loader::rejection::Rejection;
use sexton_loader::runner::{self, Opened, Spawner, Start, Usage};
use sexton_loader::seam::{Ended, Farewell, Order, Placement, Report, Stamped};
use sexton_plugin_api::wire::{Batch, LoadOrder, RunOrder};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);

fn examples() -> PathBuf {
    let exe = std::env::current_exe().expect("a test binary");
    exe.parent().and_then(Path::parent).expect("target/<profile>").join("examples")
}

/// A built example of this package.
pub fn fixture(name: &str) -> PathBuf {
    let path = examples().join(format!("lib{name}.so"));
    assert!(path.is_file(), "{} is built by `cargo test` and `cargo nextest run`", path.display());
    path
}

/// Starts runners of the example that is one.
pub fn spawner() -> Spawner {
    static SPAWNER: OnceLock<Spawner> = OnceLock::new();
    let start = || Spawner::of(&examples().join("fx_runner")).expect("the example `fx_runner` is built with the tests");
    SPAWNER.get_or_init(start).clone()
}

/// A directory that passes the owner rule, with `generations` to be made in it.
pub struct Ground {
    dir: tempfile::TempDir,
    placement: Placement,
    pub confinement: Confinement,
}

impl Ground {
    pub fn new() -> Self {
        Self::of(Placement::InProcess)
    }

    /// One whose generations run there.
    pub fn of(placement: Placement) -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), placement, confinement: Confinement::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn generations(&self) -> PathBuf {
        self.path("generations")
    }

    /// A fixture as an operator would put it.
    pub fn drop_in(&self, name: &str) -> PathBuf {
        let path = self.path(&format!("lib{name}.so"));
        std::fs::copy(fixture(name), &path).expect("copied");
        path
    }

    pub fn inspect(&self, name: &str) -> Result<Inspected, Rejection> {
        inspect(&self.drop_in(name), &self.generations(), &Rules::default())
    }

    /// How many copies there are.
    pub fn copies(&self) -> usize {
        std::fs::read_dir(self.generations()).map_or(0, Iterator::count)
    }
}

pub fn next_generation() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// One generation.
pub struct Life {
    pub orders: Option<Sender<Order>>,
    pub reports: Receiver<Stamped>,
    pub image: PathBuf,
    pub usage: Option<Usage>,
    seen: Vec<Report>,
}

impl Life {
    /// Started, not yet loaded.
    pub fn start(ground: &Ground, fixture: &str, threads: usize) -> Self {
        let generation = next_generation();
        let inspected = ground.inspect(fixture).expect("a good plugin");
        let image = adopt(&inspected, &ground.generations(), generation).expect("adopted");
        match ground.placement {
            Placement::InProcess => Self::of_copy(image, generation, threads),
            Placement::Runner => Self::in_runner(ground, image, generation, threads),
        }
    }

    fn in_runner(ground: &Ground, image: PathBuf, generation: i64, threads: usize) -> Self {
        let (sender, reports) = channel();
        let confinement = ground.confinement.clone();
        let start = Start { plugin: "fx-jobs".to_owned(), generation, image: image.clone(), threads, confinement, group: None };
        let Opened { orders, usage, .. } = runner::open(&spawner(), start, sender);
        Self { orders: Some(orders), reports, image, usage: Some(usage), seen: Vec::new() }
    }

    /// Started from a copy that has been inspected.
    pub fn of_copy(image: PathBuf, generation: i64, threads: usize) -> Self {
        let (sender, reports) = channel();
        let opening = Opening { plugin: "fx-jobs".to_owned(), generation, image: image.clone(), threads, log_lines: 2000 };
        Self { orders: Some(open_in_process(opening, sender)), reports, image, usage: None, seen: Vec::new() }
    }

    /// Loaded and active.
    pub fn active(ground: &Ground, settings: Value) -> Self {
        let mut life = Self::start(ground, "fx_jobs", 4);
        life.load(settings).expect("loads");
        life.order(Order::Activate);
        life
    }

    /// Lines of the memory map that name its image, in whichever process it is.
    pub fn mapped(&self) -> usize {
        match &self.usage {
            None => mappings_of(&self.image),
            Some(usage) => usage.figures().map_or(0, |f| mappings_in(&f.pid.to_string(), &self.image)),
        }
    }

    pub fn order(&self, order: Order) {
        self.orders.as_ref().expect("not dropped").send(order).expect("the desk reads");
    }

    pub fn load(&mut self, settings: Value) -> Result<Batch, Rejection> {
        self.order(Order::Load(LoadOrder { plugin: "fx-jobs".to_owned(), settings, log_level: 3 }));
        self.next("loaded", |r| if let Report::Loaded(loaded) = r { Some(loaded.clone()) } else { None })
    }

    /// The first report that fits; the others before it are kept.
    pub fn next<T>(&mut self, what: &str, fits: impl Fn(&Report) -> Option<T>) -> T {
        if let Some(i) = self.seen.iter().position(|r| fits(r).is_some()) {
            return fits(&self.seen.remove(i)).expect("it fitted");
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match self.reports.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Stamped { report, .. }) => match fits(&report) {
                    Some(found) => return found,
                    None => self.seen.push(report),
                },
                Err(error) => panic!("no report `{what}`: {error}; seen: {:#?}", self.seen),
            }
        }
    }

    pub fn run(&self, run: u64, event_type: &str, args: &Value) {
        self.order(Order::Run(vec![order(run, event_type, args)]));
    }

    pub fn done(&mut self, run: u64) -> Ended {
        self.next("done", |r| match r {
            Report::Done(ended) => ended.iter().find(|e| e.reply.run == run).cloned(),
            _ => None,
        })
    }

    pub fn started(&mut self, run: u64) {
        self.next("started", |r| matches!(r, Report::Started { run: r, .. } if *r == run).then_some(()));
    }

    /// Drain, unload, farewell; and nothing after it.
    pub fn end(mut self) -> Farewell {
        self.order(Order::Drain);
        self.next("quiescent", |r| matches!(r, Report::Quiescent).then_some(()));
        self.order(Order::Unload);
        self.gone()
    }

    pub fn gone(&mut self) -> Farewell {
        let farewell = self.next("gone", |r| if let Report::Gone(farewell) = r { Some(farewell.clone()) } else { None });
        assert!(self.reports.try_recv().is_err(), "`Gone` is the last report");
        farewell
    }
}

pub fn order(run: u64, event_type: &str, args: &Value) -> RunOrder {
    RunOrder {
        run,
        occurrence: format!("0000000000000.{run}"),
        event_type: event_type.to_owned(),
        args: RawValue::from_string(args.to_string()).expect("JSON"),
        attempt: 1,
        scheduled_for: chrono::Utc::now(),
        deadline: None,
        bot: None,
        resources: vec![],
        resources_done: vec![],
        description: None,
        labels: std::collections::BTreeMap::new(),
    }
}

pub fn output(ended: &Ended) -> Value {
    ended.reply.output.as_ref().map_or(Value::Null, |raw| serde_json::from_str(raw.get()).expect("JSON"))
}

pub fn none() -> Value {
    json!({})
}

/// Lines of `/proc/self/maps` that name a file.
pub fn mappings_of(path: &Path) -> usize {
    mappings_in("self", path)
}

fn mappings_in(process: &str, path: &Path) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let name = path.to_string_lossy().into_owned();
    maps.lines().filter(|l| l.contains(&name)).count()
}

/// Each test in both placements.
macro_rules! in_both_placements {
    ($($test:ident)*) => {
        mod in_process {
            $(#[test] fn $test() { super::$test(sexton_loader::seam::Placement::InProcess); })*
        }
        mod runner {
            $(#[test] fn $test() { super::$test(sexton_loader::seam::Placement::Runner); })*
        }
    };
}
pub(crate) use in_both_placements;
