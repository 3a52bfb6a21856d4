#!/bin/sh
# Compiles the kernel's half. The object is for every little-endian machine:
# it has no instruction or offset that depends on the processor. tracer.o.source
# says what it was made of and by which compiler; if that is still the source,
# nothing is done, so that only who changes it needs clang. With a file name as
# argument, that is written in any case.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang}
strip=${LLVM_STRIP:-llvm-strip}
sum=$(cat tracer.c tracer.h parse.h | sha256sum | cut -d' ' -f1)
out=${1:-tracer.o}
if [ $# = 0 ] && [ -e tracer.o ] && grep -q "^$sum\$" tracer.o.source; then
	exit 0
fi
command -v "$clang" >/dev/null || { echo "$0: install clang, llvm and libbpf-dev" >&2; exit 1; }
"$clang" -O2 -g -Wall -Wextra -Werror -target bpfel -mcpu=v1 -fdebug-compilation-dir=. \
	-idirafter "/usr/include/$(uname -m)-linux-gnu" -c tracer.c -o "$out"
"$strip" -g "$out"
{
	echo "$sum"
	"$clang" --version | head -n 1
} >"$out.source"
