//! The state diagrams of `host/ARCHITECTURE.md` against the code: every verb and every end is driven over an event in every state, and what
//! moved is compared with the edges of the diagram, both ways.
//!
//! Not what else a verb does (the conformance suite). What must hold: a new verb, or a new way to end, joins [`STIMULI`]; an edge that it
//! makes joins the diagram.

#[path = "diagrams/edges.rs"]
mod edges;
#[path = "diagrams/scene.rs"]
mod scene;

use edges::{Edge, edges_of, lines_after};
use scene::{KINDS, Kind, REACHED, STIMULI, STIMULI_OF_A_FILE, Scene, Stimulate};
use sexton_core::decide::{End, Guilt};
use std::collections::{BTreeMap, BTreeSet};

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Does each thing to an event of each kind in each state; answers how often, and gathers what moved, with how.
fn drive(scene: &mut Scene, stimuli: &[(&str, &str, Stimulate)], made: &mut BTreeMap<Edge, String>) -> usize {
    let mut tried = 0;
    for kind in KINDS {
        for (state, reach) in REACHED {
            for (stimulus, label, stimulate) in stimuli {
                for running in [false, true] {
                    let mut event = scene.event(*kind, running);
                    if !reach(scene, &mut event) || scene.state(&event).as_deref() != Some(*state) {
                        scene.clear(&event);
                        continue;
                    }
                    stimulate(scene, &mut event);
                    let then = scene.state(&event).unwrap_or_else(|| "pruned".to_owned());
                    if then != *state {
                        let edge = Edge { from: (*state).to_owned(), label: (*label).to_owned(), to: then };
                        made.entry(edge).or_insert_with(|| format!("{kind:?}, running: {running}, {stimulus}"));
                    }
                    scene.clear(&event);
                    tried += 1;
                }
            }
        }
    }
    tried
}

#[test]
fn the_states_of_an_event_move_as_the_diagram_says() {
    let drawn = edges_of(&lines_after(&page(), "The stored state of an event"));
    let mut made = BTreeMap::new();
    let tried = drive(&mut Scene::in_memory(), STIMULI, &mut made) + drive(&mut Scene::in_a_file(), STIMULI_OF_A_FILE, &mut made);
    let missing: Vec<String> =
        made.iter().filter(|(edge, _)| !drawn.contains(*edge)).map(|(edge, how)| format!("{edge}, by {how}")).collect();
    let never: Vec<String> = drawn.iter().filter(|edge| !made.contains_key(*edge)).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "edges that the code makes and the diagram has not:\n{}", missing.join("\n"));
    assert!(never.is_empty(), "edges of the diagram that nothing makes:\n{}", never.join("\n"));
    println!("{tried} verbs and ends tried, {} edges", made.len());
}

/// `outcome -> what | what (remarks)`: what can become of the occurrence.
#[test]
fn what_follows_from_an_outcome_is_as_the_diagram_says() {
    let drawn: BTreeMap<String, BTreeSet<String>> = lines_after(&page(), "The outcome of a run")
        .iter()
        .map(|line| {
            let (outcome, then) = line.split_once("->").unwrap_or_else(|| panic!("`{line}` has no arrow"));
            (outcome.trim().to_owned(), edges::without_remarks(then).split('|').map(|word| word.trim().to_owned()).collect())
        })
        .collect();
    let ends: [(&str, Vec<End>); 5] = [
        ("succeeded", vec![End::Succeeded]),
        ("failed", vec![End::Failed { permanent: false }, End::Failed { permanent: true }]),
        ("snoozed", vec![End::Snoozed { until: scene::at(86_400) }]),
        ("cancelled", vec![End::Cancelled]),
        ("interrupted", [Guilt::Innocent, Guilt::Suspect, Guilt::Culprit].map(|guilt| End::Interrupted { guilt }).to_vec()),
    ];
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut scene = Scene::in_memory();
    for (outcome, ends) in ends {
        let found = made.entry(outcome.to_owned()).or_default();
        for end in ends {
            // Until nothing more comes: each attempt, and each interruption up to the poison limit.
            let mut event = scene.event(Kind::Once, true);
            for _ in 0..6 {
                found.insert(scene.follows(&mut event, &end).to_owned());
                if !scene.runs_again(&mut event) {
                    break;
                }
            }
            scene.clear(&event);
        }
    }
    let mut event = scene.event(Kind::Once, true);
    event.void(&mut scene);
    made.entry("lost".to_owned()).or_default().insert(scene.follows(&mut event, &End::Succeeded).to_owned());
    assert_eq!(made, drawn);
}
