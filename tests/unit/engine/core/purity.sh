#!/bin/bash
# The core is pure: its object files use no libc but memory copies, no float, no clock, no system call, no atomic, no
# thread-local and no writable global. First each kind of offence is planted, and must be found.
#   purity.sh COMPILER LIBRARY SOURCE_FOLDER
set -u -o pipefail
compiler=$1 library=$2 sources=$3
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

allowed_symbols='^(eng_[a-z0-9_]+|ls_check_failed|mem(cpy|set|move|cmp)|__(memcpy|memset|memmove)_chk'
allowed_symbols+='|__u?(div|mod|divmod)ti[34]|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
allowed_symbols+='|ipc_(tag_[a-z_]+|[a-z_]+_(valid|name|parse)|error_set))$'
float_code='v?(add|sub|mul|div|sqrt|min|max)[sp][sd]|v?u?comis[sd]|v?cvt[a-z0-9]+|f(i?(ld|stp?|add|sub|mul|div)[a-z]*)'
other_code='syscall|sysenter|rdtscp?|rdrand|rdseed|cpuid|mfence|lfence|sfence|pause|lock'

# Prints a line per offence in object files or libraries.
offences() {
    nm -u "$@" | awk '$1 == "U" {print $2}' | sort -u | grep -Ev "$allowed_symbols" | sed 's/^/symbol /'
    objdump -d --no-show-raw-insn "$@" | awk -F'\t' 'NF >= 2 {split($2, word, " "); print word[1]}' | sort -u |
        grep -Ex "$float_code|$other_code" | sed 's/^/instruction /'
    objdump -d --no-show-raw-insn "$@" | grep -oE '%fs:[^ ,]+' | sort -u | grep -vx '%fs:0x28' | sed 's/^/thread-local /'
    size -A "$@" | awk '$1 ~ /^\.(data|bss|tdata|tbss)$/ && $2 > 0 {print "writable section " $1}' | sort -u
}

# Words of float types in the sources, comments and strings apart.
float_words() {
    local file
    for file in "$@"; do
        "$compiler" -fpreprocessed -dD -E -P "$file" 2>/dev/null | sed 's/"[^"]*"//g' | grep -nwE 'float|double' |
            sed "s|^|word in $(basename "$file"): |"
    done
}

planted() {
    printf '%s\n' "$2" >"$work/$1.c"
    "$compiler" -O1 -c -o "$work/$1.o" "$work/$1.c" || exit 1
    if [ -z "$(offences "$work/$1.o"; float_words "$work/$1.c")" ]; then
        echo "a planted $1 was not found"
        exit 1
    fi
}
planted allocation 'void *malloc(unsigned long n); void *f(void) { return malloc(8); }'
planted clock '#include <time.h>
long f(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec; }'
planted print '#include <stdio.h>
void f(int n) { printf("%d\n", n); }'
planted float-instruction 'typedef __typeof__(1.5) real; long f(long a) { real r = (real)a * 1.01; return (long)r; }'
planted float-word 'int f(void) { return (int)sizeof(double); }'
planted global 'static int count; int f(void) { return ++count; }'
planted initialised-global 'int state = 7;'
planted thread-local 'static _Thread_local int n; int f(void) { return ++n; }'
planted atomic 'int f(_Atomic int *n) { return ++*n; }'
planted cycle-counter 'unsigned long f(void) { return __builtin_ia32_rdtsc(); }'
planted clock-of-ours 'long ipc_clock_mono_ns(void); long f(void) { return ipc_clock_mono_ns(); }'

printf '/* a double check */ const char *f(void) { return "float"; }\n' >"$work/innocent.c"
"$compiler" -O1 -c -o "$work/innocent.o" "$work/innocent.c"
if [ -n "$(offences "$work/innocent.o"; float_words "$work/innocent.c")" ]; then
    echo "the innocent file was accused:"; offences "$work/innocent.o"; float_words "$work/innocent.c"
    exit 1
fi

found=$(offences "$library"; float_words "$sources"/*.[ch] "$sources"/pipeline/*.[ch])
if [ -n "$found" ]; then
    echo "engine/core is not pure:"
    echo "$found"
    exit 1
fi
echo "pure: $(nm -u "$library" | awk '$1 == "U" {print $2}' | sort -u | grep -cv '^eng_') foreign symbols, all allowed"
