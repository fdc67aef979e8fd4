# The workers of pipelines/prepare.py: Beam's own image with this package and what it needs.
# Python and Beam must be the versions of the machine that submits.
#
#   python -m pip wheel --no-deps -w dist .
#   docker build -f pipelines/worker.Dockerfile -t REGISTRY/tfrec-vis-worker .
FROM apache/beam_python3.11_sdk:2.72.0
COPY constraints.txt dist/*.whl /tmp/package/
RUN pip install --no-cache-dir -c /tmp/package/constraints.txt /tmp/package/*.whl
