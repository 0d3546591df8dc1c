#!/bin/sh
# finish_image.sh FOLDER IMAGE: the last step of an image's build, for both Dockerfiles. Takes out what nobody runs, compiles the bytecode, and moves the
# folder below IMAGE, the same for the same content: one time stamp, one order, one mode. IMAGE is copied to /: only so does a folder keep its time stamp.
set -eu
cd "$1"

# Evidently's `tests` are what it is made of.
find . -type d \( -name __pycache__ -o \( -name tests -o -name test \) ! -path '*/evidently/*' \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' -o -name '*.a' \) -delete
# Libraries that came with a wheel, and what refers to them, were patched when the wheel was made: stripping breaks them.
find . -type f -name '*.so*' ! -path '*.libs/*' -exec sh -c 'for file; do readelf -d "$file" | grep -q "\.libs\]" || strip --strip-unneeded "$file"; done' - {} +

# One process with a fixed hash seed: what is written depends on what was compiled before. `unchecked`: the files of an image do not change.
PYTHONHASHSEED=0 python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash .

mkdir -p "$2"
mv "$1" "$2"
chmod -R u=rwX,go=rX "$2"
find "$2" -exec touch -h -d @0 {} +
