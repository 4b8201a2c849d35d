FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/streamer
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY streamer streamer
RUN /opt/streamer/bin/pip install --no-cache-dir --constraint constraints.txt '.[fast]'
ENV NUMBA_CACHE_DIR=/opt/streamer/kernels
RUN /opt/streamer/bin/python -m streamer.process.warm_up

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home streamer
COPY --from=build /opt/streamer /opt/streamer
# Kernels for another processor than that of the build are added at the first start.
RUN chown -R streamer /opt/streamer/kernels
ENV PATH=/opt/streamer/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/opt/streamer/kernels
USER 10001
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"STREAMER_HTTP_PORT\") or 9464}/healthz', timeout=2)"]
ENTRYPOINT ["streamer"]
CMD ["run"]
