ARG other
FROM ${base_image}
