FROM ${base_image}
