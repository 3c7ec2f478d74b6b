#!/usr/bin/env bash
# lockstep.sh: everything a person does with this repository, each with all set-up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Debian 12 packages by name. Build and run first, then what only tests start.
packages_build=(build-essential cmake ninja-build pkg-config git ca-certificates
    liburing-dev libcurl4-openssl-dev libnghttp2-dev libssl-dev libjemalloc-dev libjansson-dev
    libjsmn-dev libcyaml-dev libwebsockets-dev libcmocka-dev python3)
packages_test=(clang libclang-rt-14-dev llvm nghttp2-server nghttp2-client valgrind binutils gdb
    openssl)
packages_servers=(nginx haproxy apache2 caddy h2o nghttp2-proxy)
packages_bench=(python3-httpx python3-h2 python3-matplotlib)

programs=(lockstep-engine lockstep-ingest lockstep-brokersim lockstepctl lockstep-whatif)

usage() {
    cat <<'TXT'
Usage: ./lockstep.sh COMMAND

  demo [OPTIONS]    install what is missing, build, and copy a master's orders to followers at a
                    simulated broker. --followers N, --lanes own|shared, --io uring|epoll, --poll, --keep
  test [AREA...]    install what is missing, build everything, run every test (or only: unit, gate,
                    sim, e2e, faults, asan, tsan, fuzz)
  build [PRESET]    build one preset: release (default), debug, asan, tsan, fuzz
  soak [OPTIONS]    the simulated world for a long time: over a million events by default.
                    --hours H, --events N, --seed N, --json
  bench [NAME]      every measurement of lockstep-bench, at most 15 minutes; budgets on the
                    terminal, values and plots under bench/results/. Or one: bench fanout --rounds 20
  clean             remove build/ and what a kept demo left behind

Programs land in build/release/bin/. Nothing needs a network beyond the package manager.
TXT
}

if [ -t 2 ]; then bold=$'\033[1m'; red=$'\033[31m'; plain=$'\033[0m'; else bold=; red=; plain=; fi
say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }
die() { printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "'$*' needs root: run this as root or install sudo"; fi
}

# install PACKAGE...: installs those that are missing, and says so.
install() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    command -v apt-get >/dev/null || die "this script installs Debian packages and finds no apt-get; install these yourself: ${missing[*]}"
    say "installing ${#missing[@]} Debian packages: ${missing[*]}"
    local log; log=$(mktemp)
    # Servers are for tests, which start them: none may start by itself, now or at the next boot.
    local policy=/usr/sbin/policy-rc.d made=no
    if [ ! -e $policy ]; then
        made=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    local installed=yes
    as_root apt-get update -qq >"$log" 2>&1 || true
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        installed=no
    fi
    [ $made = no ] || as_root rm -f $policy
    if [ $installed = yes ] && command -v systemctl >/dev/null; then
        for package in "${missing[@]}"; do
            case " ${packages_servers[*]} " in
            *" $package "*) as_root systemctl disable "${package/nghttp2-proxy/nghttpx}" >>"$log" 2>&1 || true ;;
            esac
        done
    fi
    if [ $installed = no ]; then
        tail -n 15 "$log" >&2
        die "the packages above could not be installed: correct the package sources and run this again (log: $log)"
    fi
    rm -f "$log"
}

# build PRESET [TARGET...]
build() {
    local preset=$1; shift
    case $preset in release|debug|asan|tsan|fuzz) ;; *) die "no preset '$preset': use release, debug, asan, tsan or fuzz";; esac
    say "building $preset"
    local log=build/$preset/build.log started=$SECONDS
    mkdir -p "build/$preset"
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
        grep -E -A3 'error|FAILED|CMake Error' "$log" | head -n 40 >&2 || tail -n 30 "$log" >&2
        die "the $preset build failed; the whole output is in $log"
    fi
    say "built $preset in $((SECONDS - started)) s"
}

command_demo() {
    install "${packages_build[@]}"
    build release
    exec python3 tests/e2e/demo.py --bin build/release/bin "$@"
}

command_clean() {
    if [ -f run/demo/stop.sh ]; then bash run/demo/stop.sh || true; fi
    rm -rf build run
    say "removed build/ and run/"
}

passed=0 failed=0 failures=()
# area NAME COMMAND...: runs one area of tests, keeps its log, counts it.
area() {
    local name=$1; shift
    local log=build/test-logs/$name.log started=$SECONDS
    mkdir -p build/test-logs
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        say "ok    $name ($((SECONDS - started)) s) $(grep -Eo '[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -n 1 || true)"
    else
        failed=$((failed + 1)); failures+=("$name")
        say "FAIL  $name ($((SECONDS - started)) s), see $log"
        grep -E '\*\*\*(Failed|Timeout|Exception)|The following tests FAILED|^[[:space:]]+[0-9]+ - |\[  FAILED  \]|ERROR: |FAIL:|runtime error' "$log" | head -n 25 >&2 || true
        tail -n 15 "$log" >&2
    fi
}

command_test() {
    local areas=("$@")
    [ ${#areas[@]} = 0 ] && areas=(unit gate sim e2e faults asan tsan fuzz)
    install "${packages_build[@]}" "${packages_test[@]}"
    local server
    for server in "${packages_servers[@]}"; do
        (install "$server") || say "without $server its cases are skipped"
    done
    local started=$SECONDS name
    for name in "${areas[@]}"; do
        case $name in
        unit) build release; area unit ctest --test-dir build/release --output-on-failure -L unit -j2 ;;
        gate) build release; area gate ctest --test-dir build/release --output-on-failure -L gate ;;
        sim)  build release; area sim ctest --test-dir build/release --output-on-failure -L sim -j2 ;;
        e2e|faults)
            build release; area "$name" ctest --test-dir build/release --output-on-failure -L "^$name\$" -j2 ;;
        asan) build asan ls_unit_tests lockstepctl; area asan ctest --test-dir build/asan --output-on-failure -L unit -j2 ;;
        tsan) build tsan ls_tsan_tests "${programs[@]}"; area tsan ctest --test-dir build/tsan --output-on-failure -L tsan -j2 ;;
        fuzz) build fuzz ls_fuzzers; area fuzz ctest --test-dir build/fuzz --output-on-failure -L fuzz -j2 ;;
        *) die "no test area '$name': use unit, gate, sim, e2e, faults, asan, tsan or fuzz" ;;
        esac
    done
    say "all areas done in $((SECONDS - started)) s${failures[*]:+, failed: ${failures[*]}}"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

command=${1:-}; [ $# -gt 0 ] && shift
case $command in
demo) command_demo "$@" ;;
test) command_test "$@" ;;
build) install "${packages_build[@]}"; [ "${1:-}" = fuzz ] && install "${packages_test[@]}"; build "${1:-release}" ;;
bench) install "${packages_build[@]}" "${packages_bench[@]}"; build release
    case ${1:-} in
    ''|-*) exec python3 bench/run.py --bin build/release/bin "$@" ;;
    *) exec build/release/bin/lockstep-bench "$@" ;;
    esac ;;
soak) install "${packages_build[@]}"; build release lockstep-sim; exec build/release/bin/lockstep-sim --soak "$@" ;;
clean) command_clean ;;
help|-h|--help) usage ;;
'') usage >&2; exit 2 ;;
*) usage >&2; die "no command '$command'" ;;
esac
