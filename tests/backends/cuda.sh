#!/usr/bin/env bash
# The cuda backend on an NVIDIA GPU. With PARITY_TCH_CUDA=1 LibTorch on the same GPU as well. The first build fetches LLVM 23.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! nvidia-smi -L; then
  echo "no NVIDIA driver answers (nvidia-smi -L); the cuda backend needs a GPU" >&2
  exit 2
fi

check cuda cuda
if [ -n "${PARITY_TCH_CUDA:-}" ]; then
  bash tests/backends/tch.sh
fi
echo "passed: cuda agrees with flex, and an experiment ran from data to report"
