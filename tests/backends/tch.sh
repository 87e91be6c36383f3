#!/usr/bin/env bash
# The tch backend, with the LibTorch of $PYTHON or python3 where that has torch 2.9, else of an environment made for it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

torch=2.9.1
has_torch() {
  "$1" -c "import importlib.metadata as m; assert m.version('torch').startswith('2.9.')" 2>/dev/null
}

python="${PYTHON:-python3}"
if ! has_torch "$python"; then
  environment="$HOME/.cache/disentangle/torch-$torch"
  # About 7 GB. What an interrupted installation left has no torch, and is made again.
  if ! has_torch "$environment/bin/python3"; then
    rm -rf "$environment"
    # Debian's Python makes no environments without this package.
    if command -v apt-get >/dev/null && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
      packages python3-venv
    fi
    "$python" -m venv "$environment"
    "$environment/bin/python3" -m pip install --quiet "torch==$torch" setuptools
  fi
  python="$environment/bin/python3"
fi

# The build asks the first `python3` (in an activated environment `python`) of PATH.
programs="$("$python" -c 'import pathlib, sys; print(pathlib.Path(sys.executable).parent)')"
libraries="$("$python" -c '
import importlib.util, pathlib
torch = pathlib.Path(importlib.util.find_spec("torch").origin).parent
print(":".join(map(str, [torch / "lib", *sorted(torch.parent.glob("nvidia/*/lib"))])))')"
export PATH="$programs:$PATH"
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LIBTORCH_USE_PYTORCH=1 LIBTORCH_BYPASS_VERSION_CHECK=1
# Workers are threads of our own; LibTorch's below each of them would be too many.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# torch-sys compiles C++.
if command -v apt-get >/dev/null && ! command -v c++ >/dev/null; then packages g++; fi
check tch tch
devices="the CPU"
if [ -n "${PARITY_TCH_CUDA:-}" ]; then
  check tch-cuda tch
  devices="the CPU and CUDA"
fi
echo "passed: tch on $devices agrees with flex, and an experiment ran from data to report"
