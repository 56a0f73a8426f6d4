// pooling.cl
