"""Latency baselines: what was usual, what has changed since, where, since when and by how much."""

import os

# numpy's BLAS would start a thread for each core, and let them spin after every product of matrices: beside a loop that
# measures. Ours are small. It is read when numpy is imported first, which is below here alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
