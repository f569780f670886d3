"""`python -m benchmarks`."""

from benchmarks.stages import main

main()
