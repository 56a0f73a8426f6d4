// batch_norm.cl
