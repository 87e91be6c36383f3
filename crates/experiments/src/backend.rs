//! The one place that opens a device.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// Where tensors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Pure Rust on the CPU; the default.
    Flex,
    /// LibTorch.
    Tch,
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
            Backend::Wgpu => "wgpu",
            Backend::Cuda => "cuda",
        }
    }

    /// Opens the device; a backend that is not compiled in says which command compiles it.
    pub fn open(self) -> Result<Device, ExperimentError> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(Device::flex()),
            #[cfg(feature = "tch")]
            Backend::Tch => Ok(Device::libtorch()),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Backend::Cuda => Ok(Device::cuda(burn::tensor::DeviceIndex::Default)),
            #[allow(unreachable_patterns)]
            absent => Err(ExperimentError::Input(format!(
                "backend `{0}` is not compiled in; expected flex, or build it: cargo build -p disentangle-experiments --features {0}",
                absent.name()
            ))),
        }
    }
}
