# syntax of BuildKit
ARG base_image=0
FROM ${base_image} AS build
ADD a /a
ARG x
COPY a /a
ENV a=b
LABEL a=b
RUN <<END
EXPOSE 80
END
RUN one && \
  two
SHELL ["/bin/bash"]
USER root
WORKDIR /
CMD true
