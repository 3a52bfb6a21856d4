#!/bin/sh
# Compiles the kernel's half. The object is for every little-endian machine:
# it has no instruction or offset that depends on the processor.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang}
strip=${LLVM_STRIP:-llvm-strip}
out=${1:-tracer.o}
"$clang" -O2 -g -Wall -Wextra -Werror -target bpfel -mcpu=v1 -fdebug-compilation-dir=. \
	-idirafter "/usr/include/$(uname -m)-linux-gnu" -c tracer.c -o "$out"
"$strip" -g "$out"
cat tracer.c tracer.h | sha256sum | cut -d' ' -f1 >"$out.source"
