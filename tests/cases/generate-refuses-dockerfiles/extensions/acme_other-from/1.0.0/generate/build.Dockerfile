ARG base_image
FROM debian
