//! What is timed: the one place to add a line for a new workload.

use super::{
    measure::{Answer, Job},
    work::{capacity, capture, causal, matrices, mitigation, records, taps, training},
};
use crate::{Backend, ExperimentError};

/// Something to time.
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// Ours.
    pub(super) ours: fn(&Job) -> Result<Answer, ExperimentError>,
    /// Who does the same; targets are held against the first.
    pub(super) peers: &'static [Peer],
    /// How often it is timed if nobody says so: even, so that those who take turns have equal halves.
    pub(super) repeats: usize,
    /// What the work finds.
    pub(super) number: &'static str,
    /// What must agree between all who do it.
    pub(super) check: &'static str,
    /// How its threads are used.
    pub(super) threads: Threads,
    /// How many times as fast as the first peer it should be.
    pub(super) target: Option<f64>,
    /// Too much for a CPU.
    pub(super) gpu: bool,
}

/// How a workload uses the threads that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// As workers of its own, each of which keeps the library below on one thread.
    Workers,
    /// One pass at a time: they are the backend's.
    Kernels,
    /// Without tensors, so that the backend does not matter: only the first one runs.
    NoTensors,
}

/// A script below `benches/peer`.
pub(super) struct Peer {
    /// As tables call it.
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    /// Beside `--threads`, `--repeats` and `--exchange`.
    pub(super) arguments: &'static str,
    /// Whether it takes the sizes of the finance training.
    pub(super) sized: bool,
}

const PYTORCH: Peer = Peer {
    name: "pytorch",
    script: "training.py",
    arguments: "",
    sized: false,
};

/// Trainings of one model.
const TRAINING: Workload = Workload {
    name: "",
    ours: training::small,
    peers: &[],
    repeats: 4,
    number: "loss",
    check: "logits",
    threads: Threads::Workers,
    target: None,
    gpu: false,
};

/// Peak memory, as a share of the first peer's, that a workload with a target should stay within.
pub(super) const MEMORY_TARGET: f64 = 0.5;

/// What a tap that is off may cost, in per cent of a forward pass.
pub(super) const TAPS_TARGET: f64 = 1.0;

pub(super) static WORKLOADS: [Workload; 15] = [
    Workload {
        name: "small",
        ours: training::small,
        peers: &[Peer {
            arguments: "--model small --rows 1000 --sequence 1 --features 50 --batch 32",
            ..PYTORCH
        }],
        target: Some(2.0),
        ..TRAINING
    },
    Workload {
        name: "finance",
        ours: training::finance,
        peers: &[Peer {
            arguments: "--model sequence --batch 0",
            sized: true,
            ..PYTORCH
        }],
        target: Some(1.7),
        ..TRAINING
    },
    Workload {
        name: "ehr",
        ours: training::ehr,
        peers: &[Peer {
            arguments: "--model healthcare --rows 990 --sequence 10 --features 12 --hidden 128 --layers 3 --feed-forward 512 --epochs 5 --batch 0",
            ..PYTORCH
        }],
        target: Some(1.5),
        ..TRAINING
    },
    Workload {
        name: "large",
        ours: training::large,
        peers: &[Peer {
            arguments: "--model sequence --rows 64 --sequence 10 --features 256 --hidden 768 --heads 12 --layers 4 --feed-forward 3072 --epochs 3 --batch 0",
            ..PYTORCH
        }],
        target: Some(1.0),
        ..TRAINING
    },
    Workload {
        name: "large-gpu",
        ours: training::large_gpu,
        peers: &[Peer {
            arguments: "--model sequence --rows 1024 --sequence 10 --features 256 --hidden 768 --heads 12 --layers 12 --feed-forward 3072 --epochs 3 --batch 0 --device cuda",
            ..PYTORCH
        }],
        target: Some(1.0),
        gpu: true,
        ..TRAINING
    },
    Workload {
        name: "capacity",
        ours: capacity::capacity,
        peers: &[Peer {
            script: "capacity.py",
            ..PYTORCH
        }],
        repeats: 2,
        ..TRAINING
    },
    Workload {
        name: "mitigation",
        ours: mitigation::mitigation,
        peers: &[Peer {
            script: "mitigation.py",
            ..PYTORCH
        }],
        repeats: 2,
        ..TRAINING
    },
    Workload {
        name: "effect-map",
        ours: causal::effect_map,
        peers: &[Peer {
            script: "causal.py",
            arguments: "--what effect-map",
            ..PYTORCH
        }],
        repeats: 2,
        number: "indirect effects",
        check: "sums of indirect effects",
        ..TRAINING
    },
    Workload {
        name: "neurons",
        ours: causal::neurons,
        peers: &[Peer {
            script: "causal.py",
            arguments: "--what neurons",
            ..PYTORCH
        }],
        number: "squared changes",
        check: "sums of squared changes",
        ..TRAINING
    },
    Workload {
        name: "capture",
        ours: capture::reduced,
        peers: &[
            Peer {
                name: "pytorch, kept",
                script: "capture.py",
                ..PYTORCH
            },
            Peer {
                name: "pytorch, reduced",
                script: "capture.py",
                arguments: "--reduce",
                ..PYTORCH
            },
        ],
        repeats: 1,
        number: "root mean squares",
        check: "sums of root mean squares",
        threads: Threads::Kernels,
        ..TRAINING
    },
    Workload {
        name: "capture-whole",
        ours: capture::whole,
        peers: &[Peer {
            name: "pytorch, kept",
            script: "capture.py",
            arguments: "--rows 2000",
            ..PYTORCH
        }],
        repeats: 2,
        number: "root mean squares",
        check: "sums of root mean squares",
        threads: Threads::Kernels,
        ..TRAINING
    },
    Workload {
        name: "taps",
        ours: taps::taps,
        repeats: 20,
        number: "per cent",
        threads: Threads::Kernels,
        ..TRAINING
    },
    Workload {
        name: "spectrum",
        ours: matrices::spectrum,
        peers: &[Peer {
            name: "numpy",
            script: "matrices.py",
            arguments: "--what spectrum",
            ..PYTORCH
        }],
        number: "effective rank",
        check: "effective ranks",
        threads: Threads::NoTensors,
        ..TRAINING
    },
    Workload {
        name: "pca",
        ours: matrices::pca,
        peers: &[Peer {
            name: "numpy",
            script: "matrices.py",
            arguments: "--what pca",
            ..PYTORCH
        }],
        number: "effective rank",
        check: "effective ranks",
        threads: Threads::NoTensors,
        ..TRAINING
    },
    Workload {
        name: "records",
        ours: records::records,
        repeats: 3,
        number: "windows",
        threads: Threads::NoTensors,
        ..TRAINING
    },
];

impl Workload {
    /// Those of `asked` that it is run on.
    pub(super) fn backends(&self, asked: &[Backend]) -> Vec<Backend> {
        match self.threads {
            Threads::NoTensors => asked.iter().take(1).copied().collect(),
            _ => asked.to_vec(),
        }
    }

    /// Threads that a library below each of ours may use.
    pub(super) fn inner_threads(&self, threads: usize) -> usize {
        match self.threads {
            Threads::Workers => 1,
            Threads::Kernels | Threads::NoTensors => threads,
        }
    }

    /// The backend that its target is about.
    pub(super) fn target_backend(&self) -> Backend {
        if self.gpu { Backend::Cuda } else { Backend::Flex }
    }
}

/// The workload called `name`; the error names all of them.
pub(super) fn find(name: &str) -> Result<&'static Workload, ExperimentError> {
    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        let names = names.join(", ");
        ExperimentError::Input(format!("unknown workload `{name}`; expected one of: all, {names}"))
    })
}

/// The workloads called `names`, each once; `all` leaves out what needs a GPU where `backends` have none for sure, as
/// wgpu may run on a CPU.
pub(super) fn choose(names: &[String], backends: &[Backend]) -> Result<Vec<&'static Workload>, ExperimentError> {
    let gpu = backends
        .iter()
        .any(|backend| matches!(backend, Backend::Cuda | Backend::TchCuda));
    let mut chosen: Vec<&'static Workload> = Vec::new();
    for name in names {
        let named: Vec<&'static Workload> = match name.as_str() {
            "all" => WORKLOADS.iter().filter(|workload| gpu || !workload.gpu).collect(),
            name => vec![find(name)?],
        };
        for workload in named {
            if chosen.iter().all(|known| known.name != workload.name) {
                chosen.push(workload);
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_everything_that_the_backends_can_do() {
        let check = |names: &[&str], backends: &[Backend], expected: usize, gpu: bool| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let chosen = choose(&names, backends).unwrap();
            assert_eq!(chosen.len(), expected, "{names:?}");
            assert_eq!(chosen.iter().any(|workload| workload.gpu), gpu, "{names:?}");
        };
        check(&["all"], &[Backend::Flex, Backend::Tch], WORKLOADS.len() - 1, false);
        check(&["all"], &[Backend::Wgpu], WORKLOADS.len() - 1, false);
        check(&["all"], &[Backend::TchCuda], WORKLOADS.len(), true);
        check(&["all"], &[Backend::Flex, Backend::Cuda], WORKLOADS.len(), true);
        check(&["small", "all"], &[Backend::Flex], WORKLOADS.len() - 1, false);
        check(&["large-gpu"], &[Backend::Flex], 1, true);
    }

    #[test]
    fn names_differ_and_scripts_exist() {
        for (index, workload) in WORKLOADS.iter().enumerate() {
            assert!(WORKLOADS[..index].iter().all(|other| other.name != workload.name));
            assert!(workload.repeats > 0);
            for peer in workload.peers {
                let known = super::super::process::SCRIPTS
                    .iter()
                    .any(|(name, _)| *name == peer.script);
                assert!(known, "{}", peer.script);
            }
            let tensors = workload.backends(&[Backend::Tch, Backend::Flex]).len();
            assert_eq!(
                tensors == 1,
                workload.threads == Threads::NoTensors,
                "{}",
                workload.name
            );
        }
    }
}
