ARG base_image
ARG other
FROM ${base_image}
