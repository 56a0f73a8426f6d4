// gather_batch.cl
