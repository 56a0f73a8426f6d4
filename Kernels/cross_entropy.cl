// cross_entropy.cl
