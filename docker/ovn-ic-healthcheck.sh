#!/bin/bash
# The command of the probes.
exec ovn-ic-db health "$@"
