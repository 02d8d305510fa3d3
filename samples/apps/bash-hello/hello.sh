#!/usr/bin/env bash
# Prints a greeting and who says it: the smallest app that shows a launch environment at work.
set -euo pipefail

echo "${GREETING:-Hello} from Slipway, ${1:-world}!"
echo "user $(id -u):$(id -g), folder $PWD"
