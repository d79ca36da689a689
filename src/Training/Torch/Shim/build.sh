#!/usr/bin/env bash
# Compiles the trainer's binding to libtorch with our kernels: build.sh OUT.so
# TOKENMILL_LIBTORCH names another libtorch: a folder with include/ and lib/ (such as the torch package of PyTorch 2.x), or its lib/.
set -euo pipefail
out=$1
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../../Shared/Kernels
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

standard=c++17 includes="-isystem /usr/include/torch/csrc/api/include" libraries="-ltorch -ltorch_cpu -lc10"
abi=""
if [ -n "${TOKENMILL_LIBTORCH:-}" ]; then
  torch=$(readlink -f "$TOKENMILL_LIBTORCH" || true)
  [ ! -e "$torch/libc10.so" ] || torch=$(dirname "$torch")
  for file in include/ATen/ATen.h lib/libc10.so; do [ -e "$torch/$file" ] || { echo "error: libtorch-incomplete: TOKENMILL_LIBTORCH ($TOKENMILL_LIBTORCH): $torch/$file is not there; name the folder of a libtorch or of a PyTorch package" >&2; exit 1; }; done
  includes="-isystem $torch/include -isystem $torch/include/torch/csrc/api/include"
  # Operators for GPUs announce themselves when their library is loaded, though nothing here calls into it.
  [ ! -e "$torch/lib/libtorch_cuda.so" ] || libraries="-Wl,--push-state,--no-as-needed -ltorch_cuda -lc10_cuda -Wl,--pop-state $libraries"
  libraries="-L$torch/lib -Wl,-rpath,$torch/lib $libraries"
  grep -q '^#define TORCH_VERSION_MAJOR 1' "$torch/include/torch/csrc/api/include/torch/version.h" || standard=c++20
  grep -q __cxx11 "$torch/lib/libc10.so" || abi=-D_GLIBCXX_USE_CXX11_ABI=0      # PyTorch's packages before 2.7
fi
flags="-std=$standard -O2 -fPIC -fopenmp -fno-math-errno -fvisibility=hidden -Wall -Wno-psabi $abi"

level() { g++ -std=c++17 -O3 -fPIC -fno-math-errno -fvisibility=hidden -Wall -Wno-psabi -DTOKENMILL_LEVEL="$1" -DTOKENMILL_WIDTH="$2" "${@:3}" -c "$kernels/Level.cpp" -o "$objects/$1.o"; }

compile() {                                              # one file each, at most as many at once as there are cores
  case $1 in
    baseline) level baseline 4 -msse4.1 ;;
    avx2) level avx2 8 -mavx2 -mfma ;;
    avx512) level avx512 16 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mprefer-vector-width=512 ;;
    */Kernels/*) g++ $flags -c "$1" -o "$objects/$(basename "$1" .cpp).o" ;;   # without libtorch's headers, which bring another oneDNN
    *) g++ $flags $includes -c "$1" -o "$objects/$(basename "$1" .cpp).o" ;;
  esac
}
export -f level compile
export kernels objects flags includes
printf '%s\n' "$here"/*.cpp "$(readlink -f "$kernels")"/{Products,StoredWeight,Dispatch,Memory}.cpp baseline avx2 avx512 | xargs -P "$(nproc)" -I{} bash -euc 'compile "$1"' compile {}

# oneDNN first: libtorch 2 carries another one inside it, whose functions have the same names.
mkdir -p "$(dirname "$out")"
g++ -shared -o "$objects/shim.so" "$objects"/*.o -ldnnl $libraries -lgomp -Wl,--no-undefined -Wl,-z,relro,-z,now
mv "$objects/shim.so" "$out"
