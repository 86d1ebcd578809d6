# The command line alone: `make static`, and then `docker build --build-arg ARCH="$(uname -m)" --tag imdsv2 .`
FROM debian:bookworm-slim AS certificates
RUN apt-get update --quiet --quiet \
    && apt-get install --quiet --quiet --yes --no-install-recommends ca-certificates=20230311+deb12u1 \
    && rm -rf /var/lib/apt/lists/*

FROM scratch
ARG ARCH=x86_64
# Whom `imdsv2 scan` trusts. `imdsv2 evaluate` uses no network.
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ADD dist/imdsv2-${ARCH}.tar.gz /
USER 65534:65534
WORKDIR /work
ENTRYPOINT ["/imdsv2"]
