//! The one place that opens a device.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// Where tensors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Pure Rust on the CPU; the default.
    Flex,
    /// LibTorch on the CPU.
    Tch,
    /// LibTorch on the first NVIDIA GPU.
    TchCuda,
    /// WebGPU: Vulkan, Metal or DX12.
    Wgpu,
    /// NVIDIA GPUs.
    Cuda,
}

impl Backend {
    /// Lower-case name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Flex => "flex",
            Backend::Tch => "tch",
            Backend::TchCuda => "tch-cuda",
            Backend::Wgpu => "wgpu",
            Backend::Cuda => "cuda",
        }
    }

    /// The cargo feature that compiles it in.
    fn feature(self) -> &'static str {
        match self {
            Backend::TchCuda => "tch",
            other => other.name(),
        }
    }

    /// What it needs of a machine, and how to get it.
    fn needs(self) -> &'static str {
        match self {
            Backend::Flex => "nothing",
            Backend::Tch => {
                "LibTorch 2.9: pip install torch==2.9.1, LIBTORCH_USE_PYTORCH=1 LIBTORCH_BYPASS_VERSION_CHECK=1 while \
                 building, and that Python's torch/lib in LD_LIBRARY_PATH"
            }
            Backend::TchCuda => {
                "an NVIDIA driver and LibTorch 2.9 for CUDA: pip install torch==2.9.1, LIBTORCH_USE_PYTORCH=1 \
                 LIBTORCH_BYPASS_VERSION_CHECK=1 while building, and that Python's torch/lib and nvidia/*/lib in \
                 LD_LIBRARY_PATH"
            }
            Backend::Wgpu => {
                "a Vulkan, Metal or DX12 driver; on Debian without a GPU: apt-get install mesa-vulkan-drivers"
            }
            Backend::Cuda => "an NVIDIA driver, and a network in the first build, which fetches LLVM 23",
        }
    }

    /// Opens the device and computes a sum on it. Fails, naming the command or the driver that is missing, for a backend that is not
    /// compiled in or that this machine cannot run.
    // Burn calls LibTorch deprecated; 0.22 is its last line that has it.
    #[allow(deprecated)]
    pub fn open(self) -> Result<Device, ExperimentError> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(Device::flex()),
            #[cfg(feature = "tch")]
            Backend::Tch => self.tried(Device::libtorch),
            #[cfg(feature = "tch")]
            Backend::TchCuda => self.tried(|| Device::libtorch_cuda(burn::tensor::DeviceIndex::Default)),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => self.tried(|| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Backend::Cuda => self.tried(|| Device::cuda(burn::tensor::DeviceIndex::Default)),
            #[allow(unreachable_patterns)]
            absent => Err(absent.absent()),
        }
    }

    fn absent(self) -> ExperimentError {
        let (name, feature, needs) = (self.name(), self.feature(), self.needs());
        ExperimentError::Input(format!(
            "backend `{name}` is not compiled in; expected flex, or build it: cargo build -p disentangle-experiments \
             --features {feature} (or `cargo xtask ... --backend {name}`, which does); it needs {needs}"
        ))
    }

    /// A device opens at its first use, on a thread of its library's, and where it cannot there is a panic: this is that first use.
    #[cfg(any(test, feature = "tch", feature = "wgpu", feature = "cuda"))]
    fn tried(self, open: impl FnOnce() -> Device) -> Result<Device, ExperimentError> {
        use std::{
            panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
            sync::{Arc, Mutex},
        };

        use burn::tensor::Tensor;

        // The first panic says why; those that follow say that it happened.
        let said: Arc<Mutex<Option<String>>> = Arc::default();
        let listener = Arc::clone(&said);
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default().to_string();
            if let Ok(mut first) = listener.lock() {
                first.get_or_insert(text);
            }
        }));
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let device = open();
            let sum = (Tensor::<1>::ones([2], &device) + 1.0).sum().into_scalar::<f32>();
            (device, sum)
        }));
        set_hook(before);
        let reason = match tried {
            Ok((device, 4.0)) => return Ok(device),
            Ok((_, sum)) => format!("it computes 2 · (1 + 1) as {sum}"),
            Err(_) => said.lock().ok().and_then(|mut first| first.take()).unwrap_or_default(),
        };
        // Libraries say in many lines what they searched for.
        let reason: String = reason.lines().next().unwrap_or_default().chars().take(240).collect();
        let (name, needs) = (self.name(), self.needs());
        Err(ExperimentError::Input(format!(
            "backend `{name}` cannot be opened: {reason}; it needs {needs}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_backend_has_one_name() {
        for backend in Backend::value_variants() {
            let on_the_command_line = backend.to_possible_value().unwrap();
            assert_eq!(on_the_command_line.get_name(), backend.name());
            assert_eq!(serde_json::to_value(backend).unwrap(), backend.name());
        }
    }

    #[test]
    fn what_is_missing_is_one_sentence() {
        let check = |error: ExperimentError, parts: &[&str]| {
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert_eq!(text.lines().count(), 1, "{text}");
            for part in parts {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
        };
        check(
            Backend::TchCuda.absent(),
            &[
                "backend `tch-cuda` is not compiled in; expected flex, or build it: ",
                "cargo build -p disentangle-experiments --features tch (",
                "cargo xtask ... --backend tch-cuda",
                "pip install torch==2.9.1",
            ],
        );
        let no_driver = || -> Device { panic!("no adapter\nsearched here and there") };
        check(
            Backend::Wgpu.tried(no_driver).unwrap_err(),
            &[
                "backend `wgpu` cannot be opened: no adapter; it needs ",
                "mesa-vulkan-drivers",
            ],
        );
        assert!(Backend::Flex.tried(Device::flex).is_ok());
    }
}
