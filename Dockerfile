# The bot with its web page, for this machine only (`make image` builds it, and lists what is in it):
#   docker build -t face2emoji . && docker run --rm -p 127.0.0.1:8000:8000 face2emoji
# With the chat platforms that .env sets up, keeping their jobs and settings in a volume:
#   docker run -p 127.0.0.1:8000:8000 -v face2emoji:/data --env-file .env face2emoji
# For others, a proxy with TLS stands in front; `-p 8000:8000` would open page and /metrics to everybody, past many firewalls.

# Debian's own Python, so that Debian's security updates reach it; it has no pip. By the certificates the platforms are known.
FROM debian:bookworm-slim AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /face2emoji

# What installs stays behind here.
FROM python AS packages
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
# Before our own code, so that a change there does not install everything again.
COPY pyproject.toml constraints.txt hashes.txt hashes-cpu.txt supply.py ./
# ONNX's own test cases, 70 MB, go out again.
RUN python3 -m venv .venv \
    && PIP_NO_CACHE_DIR=1 .venv/bin/python -m supply install \
    && .venv/bin/python -m pip uninstall --yes pip \
    && rm -r .venv/lib/python3.11/site-packages/onnx/backend/test/data

FROM python
COPY --from=packages /face2emoji/.venv .venv
ENV PATH=/face2emoji/.venv/bin:$PATH
RUN useradd --create-home face2emoji && install --directory --owner face2emoji /data
USER face2emoji
COPY LICENSE emoji_map.yaml pyproject.toml supply.py ./
COPY inference inference
COPY bot bot
# Shows at once that every library is there, and the weights.
RUN python -c 'from inference import load_reader; load_reader()'

# Every interface of the container; what the outside reaches, `docker run -p` decides.
ENV FACE2EMOJI_HOST=0.0.0.0
ENV FACE2EMOJI_DATABASE_URL=sqlite:////data/face2emoji.db
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('FACE2EMOJI_PORT', 8000), timeout=4)"]
CMD ["python", "-m", "bot"]
