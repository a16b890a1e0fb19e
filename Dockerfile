# The image of annex for people who have a container engine; `make image` needs none and writes the same files, an SBOM
# besides. Base images come from wherever the engine takes short names.
#
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty) -t annex .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum go.work* ./
COPY apis/go.mod apis/go.sum apis/
COPY client/go.mod client/go.sum client/
COPY examples/go.mod examples/go.sum examples/
COPY generated/go.mod generated/go.sum generated/
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=unknown
RUN make bin/linux-${TARGETARCH:-amd64}/annex VERSION=$VERSION
RUN mkdir -p /root-of-image/etc /root-of-image/licenses /home-of-annex && \
    printf 'root:x:0:0:root:/:/sbin/nologin\nannex:x:65532:65532::/var/lib/annex:/sbin/nologin\n' >/root-of-image/etc/passwd && \
    printf 'root:x:0:\nannex:x:65532:\n' >/root-of-image/etc/group && \
    cp LICENSE /root-of-image/licenses/ && cp bin/linux-${TARGETARCH:-amd64}/annex /root-of-image/

FROM scratch
COPY --from=build /root-of-image/ /
COPY --from=build --chown=65532:65532 /home-of-annex /var/lib/annex
ENV PATH=/
WORKDIR /var/lib/annex
USER 65532:65532
EXPOSE 6443
ENTRYPOINT ["/annex"]
CMD ["serve"]
