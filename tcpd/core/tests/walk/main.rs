//! A random walk: two stacks, users who call what they like, a network that loses, repeats, overtakes and damages, hosts that restart,
//! a stranger who forges; and after every step a plain model of RFC 9293 that says what must be true.
//!
//! * `machine.rs`: what may happen, drawn and shrunk by proptest's state machine;
//! * `world.rs`: makes it happen to two stacks, and in the end heals the network and has everybody finish;
//! * `model.rs`: what the RFC says about it: written from the RFC, it knows calls, packets and time, and nothing of the code;
//! * `known.rs`: sequences that once went wrong, each a test of its own.
//!
//! A walk has a number, which decides everything. A failure prints its steps, shrunk, the ladder, and the command that repeats it.
//! `TCPD_WALK_CASES` asks for more walks than the usual ones, `TCPD_WALK_FROM` for other ones; `cargo xtask soak` sets the former.
//! What a walk has found is kept as steps in `known.rs`, not as a seed: seeds change their meaning with every change of the machine.

use std::panic::AssertUnwindSafe;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

#[path = "../common"]
mod common {
    pub(crate) mod packets;
}

mod air;
mod coverage;
mod known;
mod machine;
mod model;
mod world;

use machine::{Machine, Step};
use world::World;

/// How many walks an ordinary test run takes.
const CASES: u64 = 3_000;
/// Steps of a walk.
const STEPS: std::ops::Range<usize> = 10..120;

/// The test as proptest's state machine has it.
struct Walk;

impl StateMachineTest for Walk {
    type SystemUnderTest = World;
    type Reference = Machine;

    fn init_test(machine: &Machine) -> World {
        World::new(&machine.setup)
    }

    fn apply(mut world: World, _: &Machine, step: Step) -> World {
        world.step(step);
        world
    }

    fn teardown(mut world: World, _: Machine) {
        world.heal();
    }
}

/// Proptest keeps some steps that do nothing; whatever can be left out is left out.
fn without_idle_steps(
    config: &Config,
    machine: &Machine,
    mut reason: String,
    mut steps: Vec<Step>,
) -> (String, Vec<Step>) {
    let mut index = 0;
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        match take(config, machine, &fewer) {
            Err(again) => (reason, steps) = (again, fewer),
            Ok(()) => index += 1,
        }
    }
    (reason, steps)
}

/// Takes these steps; what went wrong, if something did.
fn take(config: &Config, machine: &Machine, steps: &[Step]) -> Result<(), String> {
    let (machine, steps) = (machine.clone(), steps.to_vec());
    std::panic::catch_unwind(AssertUnwindSafe(|| {
        Walk::test_sequential(config.clone(), machine, steps, None);
    }))
    .map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without text").to_owned()
    })
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}

/// Walks number `case`.
fn walk(case: u64) -> Result<(), String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&case.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config.clone(), rng);
    let strategy = Machine::sequential_strategy(STEPS);
    let tree = strategy
        .new_tree(&mut runner)
        .map_err(|reason| reason.to_string())?;
    let outcome = runner.run_one(tree, |(machine, steps, seen)| {
        Walk::test_sequential(config.clone(), machine, steps, seen);
        Ok(())
    });
    match outcome {
        Ok(_) => Ok(()),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
        Err(TestError::Fail(reason, (machine, steps, _))) => {
            let (reason, steps) = without_idle_steps(&config, &machine, reason.to_string(), steps);
            let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?},")).collect();
            Err(format!(
                "walk {case}: {reason}\n\n{:?}\nsteps:\n{}\nto repeat it: TCPD_WALK_FROM={case} TCPD_WALK_CASES=1 cargo test -p tcpd-core --test walk random",
                machine.setup,
                steps.join("\n"),
            ))
        }
    }
}

#[test]
fn random_walks_stay_within_what_the_rfc_allows() {
    let cases = number_from_environment("TCPD_WALK_CASES").unwrap_or(CASES);
    let from = number_from_environment("TCPD_WALK_FROM").unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    quietly();
    // Not `on_all_processors`, which goes through everything: here a thread stops at its first failure, because a bug has many and to shrink
    // one takes long. The shortest of what they found is told.
    let worst = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    (from + worker..from + cases)
                        .step_by(threads as usize)
                        .find_map(|case| walk(case).err())
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().unwrap_or_else(|_| Some("a panic".into())))
            .min_by_key(String::len)
    });
    if let Some(broken) = worst {
        panic!("{broken}");
    }
    println!("{}", coverage::table());
    if cases >= CASES {
        let missing = coverage::missing(cases);
        assert!(
            missing.is_empty(),
            "{cases} walks have not seen: {missing:?}"
        );
    }
}

/// Shrinking panics hundreds of times: only what is left at the end is told.
fn quietly() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let in_a_walk = std::thread::current().name().is_none();
        if !in_a_walk {
            before(info);
        }
    }));
}
