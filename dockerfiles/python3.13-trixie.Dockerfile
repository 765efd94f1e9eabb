# Rendered by imagekit from a spec and its lock.
# imagekit puts its context together, and BuildKit builds it.
# hadolint ignore=DL3006
FROM imagekit-base AS base

FROM base AS environment
# hadolint ignore=DL3002
USER 0:0
WORKDIR /
COPY environment/ /

FROM environment AS image
ENV HOME="/root"
ENV LANG="C.UTF-8"
ENV PATH="/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER 1000:0
WORKDIR /root
ENTRYPOINT ["/opt/venv/bin/python", "-I", "/opt/venv/lib/python3.13/site-packages/entrypoint/__main__.py"]
