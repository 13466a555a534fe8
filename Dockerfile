# astica-sync in a container: any user id, a read-only root, the key as a mounted secret. See docs/install.md.
FROM python:3.13-slim AS build
# Debian keeps one version of a package at a time.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The wheel that was just built; it says itself which versions it needs.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel="$(echo /wheels/*.whl)" \
 && pip install --no-cache-dir --no-compile "${wheel}[buckets,evaluate,metrics,page,postgres,redis,sandbox]"
# What outlives the container is on two volumes: the photos, and the state of this user with the request budget and what
# makes a new container the same machine for a store. The variable of the key names a file, and is no key.
# hadolint ignore=DL3064
ENV HOME=/state \
    XDG_STATE_HOME=/state \
    XDG_CONFIG_HOME=/state/config \
    ASTICA_API_KEY_FILE=/run/secrets/astica_api_key \
    PYTHONDONTWRITEBYTECODE=1
RUN install --directory --mode=1777 /state /photos
VOLUME ["/state", "/photos"]
WORKDIR /photos
USER 1000:1000
ENTRYPOINT ["astica-sync"]
CMD ["--help"]
