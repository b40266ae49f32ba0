# syntax=docker/dockerfile:1

FROM python:3.13-slim-trixie AS build
# Wheels only, each checked against the lock: no compiler, no build backend, nothing resolved here.
COPY requirements.txt /src/
RUN python -m venv --without-pip /opt/prober \
 && pip --python /opt/prober/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
      --no-deps --require-hashes --only-binary :all: -r /src/requirements.txt
COPY prober /opt/prober/lib/python3.13/site-packages/prober
# Bytecode is made here, checked against nothing at run time: the root filesystem is read-only there.
RUN printf '#!/bin/sh\nexec /opt/prober/bin/python -P -m prober "$@"\n' > /opt/prober/bin/prober \
 && chmod 0755 /opt/prober/bin/prober \
 && /opt/prober/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/prober/lib


FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="prober" \
      org.opencontainers.image.description="A layered, dual-stack network prober for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
# The base image's own pip is of no use here.
RUN pip uninstall --yes --quiet --root-user-action ignore pip
COPY --from=build /opt/prober /opt/prober
COPY LICENSE /opt/prober/LICENSE
ENV PATH=/opt/prober/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 9790
ENTRYPOINT ["prober"]
CMD ["run", "-c", "/etc/prober/probes.yaml"]
