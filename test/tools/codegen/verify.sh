#!/usr/bin/env bash
# Checks that generated code is current, and changes nothing; see generate.sh. make verify-generate calls it.
exec "$(dirname "${BASH_SOURCE[0]}")/generate.sh" --check
