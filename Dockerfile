# The bot with its web page, on PyTorch's CPU build:
#   docker build -t face2emoji . && docker run --rm -p 8000:8000 face2emoji
# With the chat platforms that .env sets up, keeping their jobs and settings in a volume:
#   docker run -p 8000:8000 -v face2emoji:/data --env-file .env face2emoji
FROM python:3.12-slim-bookworm

# What OpenCV links to.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /face2emoji

# Before our own code, so that a change there does not install everything again.
COPY pyproject.toml constraints.txt hashes.txt hashes-cpu.txt supply.py ./
# mediapipe asks for the last ones, and uses them for nothing that we do: half a gigabyte.
RUN PIP_NO_CACHE_DIR=1 python -m supply install --extra-index-url=https://download.pytorch.org/whl/cpu \
    && pip uninstall --yes jax jaxlib ml-dtypes scipy sentencepiece sounddevice

RUN useradd --create-home face2emoji && install --directory --owner face2emoji /data
USER face2emoji
# Shows at once that every library is there.
RUN python -c 'import cv2, mediapipe, torch'

COPY LICENSE emoji_map.yaml ./
COPY inference inference
COPY bot bot

# Every interface of the container; what the outside reaches, `docker run -p` decides.
ENV FACE2EMOJI_HOST=0.0.0.0
ENV FACE2EMOJI_DATABASE_URL=sqlite:////data/face2emoji.db
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('FACE2EMOJI_PORT', 8000), timeout=4)"]
CMD ["python", "-m", "bot"]
