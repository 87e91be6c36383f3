#!/usr/bin/env bash
# The wgpu backend. Without a GPU it runs on lavapipe, Mesa's Vulkan on the CPU, which is installed where it is missing:
# slow, but every kernel is compiled and run.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The first Vulkan driver whose file name holds the word.
driver() {
  local folder file
  for folder in /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d /usr/share/vulkan/icd.d; do
    for file in "$folder"/*"$1"*.json; do
      if [ -e "$file" ]; then
        echo "$file"
        return
      fi
    done
  done
}

card() {
  [ -n "$(ls /dev/dri/renderD* 2>/dev/null)" ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
}

used="the machine's driver"
if [ "$(uname -s)" = Linux ]; then
  case "$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null)" in
    *libvulkan.so.1*) ;;
    *) packages libvulkan1 ;;
  esac
  if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
    [ -n "$(driver '')" ] || packages mesa-vulkan-drivers libvulkan1
    if ! card; then
      [ -n "$(driver lvp_icd)" ] || packages mesa-vulkan-drivers libvulkan1
      VK_DRIVER_FILES="$(driver lvp_icd)"
      if [ -z "$VK_DRIVER_FILES" ]; then
        echo "mesa-vulkan-drivers is installed, and no lvp_icd*.json was found below vulkan/icd.d" >&2
        exit 1
      fi
      # Older loaders know the second name only.
      export VK_DRIVER_FILES VK_ICD_FILENAMES="$VK_DRIVER_FILES"
      used="lavapipe"
    fi
  fi
  if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    export XDG_RUNTIME_DIR="$work/runtime"
    mkdir -m 700 "$XDG_RUNTIME_DIR"
  fi
fi

check wgpu wgpu
echo "passed: wgpu on $used agrees with flex, and an experiment ran from data to report"
