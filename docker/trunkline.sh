#!/bin/sh
# The `trunkline` command of the image, which holds a checkout and not an installed package.
exec python -P -m engine "$@"
