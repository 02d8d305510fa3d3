ARG base_image
