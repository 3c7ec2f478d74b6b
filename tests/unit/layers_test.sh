#!/usr/bin/env bash
# layers_test: an include the wrong way does not compile. Compiles one-line files with the include path that the build
# gives each layer: what a layer may see resolves, what it may not see does not; and no source leaves its path by "../".
#
#   layers_test.sh BUILD_DIRECTORY SOURCE_DIRECTORY
set -u
include=$(realpath "$1")/include source=$(realpath "$2") failed=0
cd / # a quoted include of standard input looks in the working directory first

# try ROOT HEADER yes|no
try() {
    local got=no
    printf '#include "%s"\n' "$2" | cc -std=gnu17 -D_GNU_SOURCE -fsyntax-only -I"$include/$1" -x c - 2>/dev/null && got=yes
    if [ "$got" != "$3" ]; then
        echo "FAIL: a layer that sees $1 includes $2: $got, should be $3"
        failed=1
    fi
}

try ipc                  ipc/ring.h                yes
try ipc                  adapters/span.h           no
try ipc                  engine/core/step.h        no
try ipc                  control/cli.h             no
try ipc_adapters         adapters/broker/dialect.h yes
try ipc_adapters         engine/core/step.h        no
try ipc_adapters         control/cli.h             no
try ipc_adapters_engine  engine/core/step.h        yes
try ipc_adapters_engine  control/cli.h             no
try ipc_engine           engine/core/step.h        yes
try ipc_engine           adapters/span.h           no
try ipc_engine           control/cli.h             no
try ipc_adapters_control control/cli.h             yes
try ipc_adapters_control engine/core/step.h        no

# Each layer is given no more than the above.
check_sees() { # FOLDER ALLOWED-REGEX
    local line
    while IFS= read -r line; do
        if ! [[ $line =~ ^$2$ ]]; then
            echo "FAIL: $1/CMakeLists.txt lets something see '$line'"
            failed=1
        fi
    done < <(grep -hoE 'SEES [a-z ]+' "$source/$1/CMakeLists.txt" | sed 's/SEES //; s/ *$//')
}
check_sees ipc 'ipc'
check_sees adapters/broker 'ipc adapters'
check_sees adapters/ingest 'ipc adapters'
check_sees adapters/sim '(ipc|ipc adapters)'
check_sees engine/core 'ipc engine'
check_sees engine/net 'ipc adapters engine'
check_sees engine '(ipc engine|ipc adapters engine)'
check_sees control 'ipc adapters control'

if grep -rnE '#include "(\.\./|/)' "$source"/{ipc,adapters,engine,control} --include='*.[ch]'; then
    echo "FAIL: an include leaves the include path"
    failed=1
fi
if grep -rnE '#include "adapters/broker/' "$source/adapters/sim" --include='*.[ch]'; then
    echo "FAIL: the simulator includes a dialect: an error would cancel itself"
    failed=1
fi
[ "$failed" = 0 ] && echo "ok: every include points downwards"
exit "$failed"
