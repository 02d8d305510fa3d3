FROM elsewhere
RUN true
