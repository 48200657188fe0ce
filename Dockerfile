# The CPU image: tern-server, tern-worker and tern. Build from the root of a checkout:
#   docker build -t tern:0.1.0 .
FROM debian:12-slim AS build
WORKDIR /src
COPY script/setup script/setup
RUN script/setup build
COPY . .
RUN script/build release -DTERN_BUILD_TESTS=OFF -DTERN_BUILD_BENCHMARKS=OFF \
 && cmake --install build/release --prefix /opt/tern --strip

FROM debian:12-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libprometheus-cpp-core1.0 libcivetweb1 libsqlite3-0 libssl3 \
      libpcre2-8-0 libsentencepiece0 libutf8proc2 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home tern
COPY --from=build /opt/tern/ /usr/local/
USER 10001:10001
# 7070: gRPC; 9464: metrics and liveness. Run tern-worker from the same image by naming it.
EXPOSE 7070 9464
CMD ["tern-server", "--help"]
