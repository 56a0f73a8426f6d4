// convolution.cl
