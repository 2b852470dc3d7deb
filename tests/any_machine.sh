#!/usr/bin/env bash
# Run the fast tests as other machines would run them, one environment after the other:
#
#     tests/any_machine.sh                           all tests in all environments
#     tests/any_machine.sh tests/rnn -x              these tests, with pytest's options
#     ONLY="old-cpu offline" tests/any_machine.sh    in these environments alone
#
# Each takes as long as `make test`. Those of another user and without a network need root.

cd "$(dirname "$0")/.." || exit
tests=("${PYTHON:-.venv/bin/python}" -m pytest -q -n logical --dist loadfile -p no:cacheprovider "$@")
failed=()

# Run the tests by a command that makes an environment: its name, and the command.
try() {
    local name=$1
    shift
    [[ " ${ONLY:-$name} " == *" $name "* ]] || return
    printf '\n== %s: %s\n' "$name" "$*"
    "$@" "${tests[@]}" || failed+=("$name")
}

try as-here env
try old-cpu env ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem
try one-core taskset -c 0
try c-locale env PYTHONUTF8=0 LC_ALL=C
try seoul env TZ=Asia/Seoul
try terminal env COLUMNS=40 FORCE_COLOR=1 TERM=dumb
try umask bash -c 'umask 077; exec "$@"' -
try homeless env HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1
if [[ $(id -u) == 0 ]]; then
    try user runuser -u nobody -- env HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1
    try offline unshare --net sh -c 'ip link set lo up; exec "$@"' -
fi

((${#failed[@]})) && echo "failed: ${failed[*]}" && exit 1
echo "passed in every environment"
