//! What the kind of a device decides: how much is done at once.

use burn::tensor::Device;

use crate::model::MICRO_BATCH;

/// Rows that pass at once on an accelerator, where starting a kernel costs as much as many rows in it.
const ACCELERATOR_ROWS: usize = 1024;

/// Whether the device computes beside the processor, or is driven as if it did: a graphics card, or a software driver for one.
pub fn is_accelerator(device: &Device) -> bool {
    // Burn compiles the kinds of devices in one by one, and tells them apart by their text alone.
    names_accelerator(&format!("{device:?}"))
}

fn names_accelerator(device: &str) -> bool {
    ["Cuda", "Wgpu", "Mps"].iter().any(|kind| device.contains(kind))
}

/// Rows that pass through a network at once where nobody asks for another number: few on a CPU, for its caches.
pub fn rows_at_once(device: &Device) -> usize {
    if is_accelerator(device) {
        ACCELERATOR_ROWS
    } else {
        MICRO_BATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accelerators_take_more_rows_at_once() {
        let check = |device: &str, expected: bool| assert_eq!(names_accelerator(device), expected, "{device}");
        check("Device<Flex(FlexDevice)>", false);
        check("Device<LibTorch(Cpu)>", false);
        check("Device<LibTorch(Cuda(0))>", true);
        check("Device<Cube(Cuda(CudaDevice { index: 0 }))>", true);
        check(
            "Device<Cube(Wgpu(WgpuDevice { kind: DefaultDevice, backend: Auto }))>",
            true,
        );
        for device in [Device::flex(), Device::flex().autodiff()] {
            assert!(!is_accelerator(&device));
            assert_eq!(rows_at_once(&device), MICRO_BATCH);
        }
    }
}
