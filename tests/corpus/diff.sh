#!/bin/bash
# The differential fuzzer: the native evaluator, built with sanitizers, against jq 1.8.2 and against the machine's libjq.
#
#     tests/corpus/diff.sh SECONDS [SEED]
#
# jq 1.8.2 comes with the Python package jq, in a virtual environment under build/; JQ_PYTHON names another Python that has
# it. Half of the time goes to each oracle. Exit 1 when something differs without a known reason.
set -u
cd "$(dirname "$0")/../.."
SECONDS_EACH=$((${1:-60} / 2))
SEED=${2:-$(date +%s)}
EVAL=build/san/corpus/eval_lines
PYTHON=${JQ_PYTHON:-build/jq-venv/bin/python}
RC=0

make --no-print-directory SAN=address,undefined $EVAL >/dev/null || exit 1
if ! "$PYTHON" -c 'import jq' 2>/dev/null; then
    echo "diff: making a virtual environment with the Python package jq"
    python3 -m venv build/jq-venv && build/jq-venv/bin/pip install -q jq==1.13.0
fi
if "$PYTHON" -c 'import jq' 2>/dev/null; then
    "$PYTHON" tests/corpus/diff_jq.py $EVAL $SECONDS_EACH "$SEED" || RC=1
else
    echo "left out: jq 1.8.2 as the oracle: the Python package jq cannot be installed here (or name a Python in JQ_PYTHON)"
fi
python3 tests/corpus/diff_jq.py $EVAL $SECONDS_EACH "$SEED" --libjq || RC=1
exit $RC
