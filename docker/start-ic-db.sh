#!/bin/bash
# The command that the containers before were started with.
exec ovn-ic-db run
