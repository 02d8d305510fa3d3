ARG base_image
FROM ${base_image}
USER root
EXPOSE 80
