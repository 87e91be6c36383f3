# Sourced by the scripts beside it: what a backend is asked for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# As .ci/run: outside the checkout, so that a second run does not build dependencies again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/disentangle/target}"
export CARGO_TERM_COLOR=never
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# check BACKEND FEATURE: numbers against flex, then an experiment from data to report.
check() {
  echo "== $1: parity with flex"
  cargo test --package disentangle-tests --features "$2" --test parity -- --nocapture --test-threads 1
  echo "== $1: an experiment"
  cargo run --package disentangle-experiments --bin disentangle --features "$2" -- \
    experiment synthetic --fast --quiet --backend "$1" --out "$work/$1"
  test -s "$work/$1/report.html"
}

# Debian packages, where root or sudo is at hand.
packages() {
  command -v apt-get >/dev/null || { echo "install $* (there is no apt-get here)" >&2; exit 2; }
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
