# The suite, built on Debian with the Swift that it needs.
#
#     docker build -t hypernetworks .
#     docker run --rm -it -v "$PWD/data:/hypernetworks/data" -v "$PWD/runs:/hypernetworks/runs" hypernetworks
#
# runs the main job, `make reproduce-ptb`: on Penn Treebank where `make data` has put it into data/, else on the generated
# sample. Another job: the same line with `make reproduce-cifar`, `make test` or `bash` behind it.
FROM swift:6.2-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libopenblas-dev zlib1g-dev pkg-config curl make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /hypernetworks
COPY . .
RUN make build
CMD ["make", "reproduce-ptb"]
