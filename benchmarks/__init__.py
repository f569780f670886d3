"""Measurements; none of them is a test.

python -m benchmarks          the pure stages of a stream, as ratios within one run
python -m benchmarks.soak     many streams for a minute while answers go wrong; status 1 if
                              anything leaks, grows, is done twice or is told wrongly
"""
