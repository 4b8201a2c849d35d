FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/streamer
# Kernels are compiled for processors of any age, so that those of the build are good for all machines.
ENV NUMBA_CPU_NAME=generic PIP_CONSTRAINT=/src/constraints.txt
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY deploy/requirements.txt requirements.txt
RUN /opt/streamer/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY streamer streamer
RUN /opt/streamer/bin/pip install --no-cache-dir --no-deps .
RUN NUMBA_CACHE_DIR=/opt/streamer/kernels /opt/streamer/bin/python -m streamer.process.warm_up

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home streamer
COPY --from=build /opt/streamer /opt/streamer
# The kernels of the build are only read. With another NUMBA_CPU_NAME, kernels are compiled at the first
# start and kept in /var/cache/streamer: mount a volume there where the root is read-only.
RUN install -d -o streamer /var/cache/streamer
ENV PATH=/opt/streamer/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/streamer/kernels XDG_CACHE_HOME=/var/cache
USER 10001
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "import os, ssl, urllib.request as r; port = os.environ.get('STREAMER_HTTP_PORT', ''); s = 's' if os.environ.get('STREAMER_HTTP_CERTIFICATE') else ''; r.urlopen(f'http{s}://127.0.0.1:{port if port.isdecimal() else 9464}/healthz', timeout=2, context=ssl._create_unverified_context())"]
ENTRYPOINT ["streamer"]
CMD ["run"]
