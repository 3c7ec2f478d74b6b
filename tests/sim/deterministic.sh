#!/bin/sh
# Runs the same seeds twice; every figure but the seconds must agree.
set -eu
one=$("$1" --seed 7001 --seeds 12 --json 2>/dev/null | sed 's/"seconds":[0-9.]*//')
two=$("$1" --seed 7001 --seeds 12 --json 2>/dev/null | sed 's/"seconds":[0-9.]*//')
if [ -z "$one" ] || [ "$one" != "$two" ]; then
    printf 'two runs of the same seeds differ:\n%s\n%s\n' "$one" "$two" >&2
    exit 1
fi
