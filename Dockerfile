# kblam serve in a container. Build: docker build -t kblam .
# Run, with the knowledge in a volume and the key in a file that only you can read:
#   docker run -p 8000:8000 -v kblam-facts:/facts -v "$PWD/keys:/run/secrets/keys:ro" kblam
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    OMP_WAIT_POLICY=passive \
    HF_HUB_OFFLINE=1

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install '.[serve]' --constraint constraints.txt \
    && useradd --system --create-home --uid 10001 kblam \
    && install --directory --owner 10001 /facts

USER 10001
VOLUME /facts
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
# /facts is made an empty store by its first start.
ENTRYPOINT ["/bin/sh", "-c", "test -e /facts/store || kblam kb create /facts/store; exec kblam serve --host 0.0.0.0 --kb facts=/facts/store \"$@\"", "--"]
CMD ["--api-key-file", "/run/secrets/keys"]
