ARG base_image
FROM ${base_image}
EXPOSE 80
