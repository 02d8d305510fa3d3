FROM other/run:1
RUN true
